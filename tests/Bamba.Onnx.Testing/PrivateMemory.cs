using System.Globalization;

namespace Bamba.Onnx.Testing;

/// <summary>
/// Watches the private memory of this process (RssAnon: heap, stacks and buffers, not the page cache nor mapped files)
/// while something runs, by looking at it every few milliseconds on a thread. Linux only.
/// </summary>
public sealed class PrivateMemory : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(5);

    private readonly ManualResetEventSlim stop = new();
    private readonly Thread sampler;
    private long peakBytes;

    private PrivateMemory()
    {
        IdleBytes = CurrentBytes();
        peakBytes = IdleBytes;
        sampler = new Thread(Sample) { IsBackground = true, Name = "private memory" };
        sampler.Start();
    }

    /// <summary>Whether this system says how much private memory a process has.</summary>
    public static bool IsSupported => OperatingSystem.IsLinux();

    /// <summary>What the process had when watching began, bytes.</summary>
    public long IdleBytes { get; }

    /// <summary>The most seen so far, bytes.</summary>
    public long PeakBytes => Interlocked.Read(ref peakBytes);

    /// <summary>The most seen so far above what there was in the beginning, bytes.</summary>
    public long PeakOverIdleBytes => PeakBytes - IdleBytes;

    /// <summary>Collects garbage, so that what earlier work left does not count, and starts to watch.</summary>
    public static PrivateMemory Watch()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        return new PrivateMemory();
    }

    /// <summary>The private memory that the process has now, bytes.</summary>
    public static long CurrentBytes()
    {
        const string Key = "RssAnon:";
        string line = File.ReadLines("/proc/self/status").First(l => l.StartsWith(Key, StringComparison.Ordinal));
        string kibibytes = line[Key.Length..].Trim().Split(' ')[0];
        return long.Parse(kibibytes, CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>Ends the watch, with a last look.</summary>
    public void Dispose()
    {
        stop.Set();
        sampler.Join();
        stop.Dispose();
    }

    private void Sample()
    {
        do
        {
            Interlocked.Exchange(ref peakBytes, Math.Max(PeakBytes, CurrentBytes()));
        } while (!stop.Wait(Interval));
    }
}
