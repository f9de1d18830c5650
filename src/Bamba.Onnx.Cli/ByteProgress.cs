using System.Diagnostics;
using System.Globalization;

namespace Bamba.Onnx.Cli;

/// <summary>Shows how many bytes are done: a bar with the time left on a terminal, a line now and then elsewhere.</summary>
internal sealed class ByteProgress(CliConsole console) : IDisposable
{
    private static readonly TimeSpan TerminalInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(10);

    private const int BarWidth = 20;

    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly Lock gate = new();
    private string? current;
    private TimeSpan start;
    private long startBytes;
    private TimeSpan lastShown;
    private bool statusShown;

    /// <summary>Tells how far an activity is; a new activity's time left is its own.</summary>
    public void Report(string activity, long doneBytes, long totalBytes)
    {
        lock (gate)
        {
            if (activity != current)
            {
                (current, start, startBytes) = (activity, clock.Elapsed, doneBytes);
            }
            TimeSpan interval = console.ErrorIsTerminal ? TerminalInterval : LineInterval;
            if (totalBytes == 0 || clock.Elapsed - lastShown < interval)
            {
                return;
            }
            lastShown = clock.Elapsed;
            string text = Text(activity, doneBytes, totalBytes);
            if (console.ErrorIsTerminal)
            {
                int full = (int)(BarWidth * doneBytes / totalBytes);
                console.ShowStatus($"{new string('█', full)}{new string('░', BarWidth - full)} {text}");
                statusShown = true;
            }
            else
            {
                console.Error.WriteLine(text);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (statusShown)
        {
            console.ClearStatus();
        }
    }

    private string Text(string activity, long doneBytes, long totalBytes)
    {
        // What was done before the activity was seen says nothing about its speed.
        double share = totalBytes > startBytes ? (double)(doneBytes - startBytes) / (totalBytes - startBytes) : 0;
        TimeSpan spent = clock.Elapsed - start;
        string left = share > 0.01 ? $", {spent * ((1 / share) - 1):m\\:ss} left" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{activity}: {doneBytes / 1e9:F2} of {totalBytes / 1e9:F2} GB ({(double)doneBytes / totalBytes:P0}){left}"
        );
    }
}
