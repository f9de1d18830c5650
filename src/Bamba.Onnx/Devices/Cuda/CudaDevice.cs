using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>
/// An NVIDIA device and the stream on which all work of a runtime is queued: ONNX Runtime's, copies, replays of graphs. One stream
/// gives one order, so that nothing else need be synchronized.
/// </summary>
internal sealed unsafe class CudaDevice : MemorySpace, IDisposable
{
    private readonly int handle;
    private nint stream;

    private CudaDevice(int ordinal, int handle, nint context)
    {
        Ordinal = ordinal;
        this.handle = handle;
        Context = context;
        byte* name = stackalloc byte[256];
        Check(CudaDriver.DeviceGetName(name, 256, handle), "its name");
        Name = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
        MemoryInfo = new OrtMemoryInfo("Cuda", OrtAllocatorType.DeviceAllocator, ordinal, OrtMemType.Default);
        Enter();
        Check(CudaDriver.StreamCreate(out stream, CudaDriver.NonBlocking), "a stream");
    }

    /// <summary>The device's number, as CUDA counts them.</summary>
    public int Ordinal { get; }

    /// <summary>The device's name.</summary>
    public string Name { get; }

    /// <summary>The driver's context, which ONNX Runtime uses too.</summary>
    public nint Context { get; }

    /// <summary>The stream, for those who queue work of their own.</summary>
    public nint Stream => stream;

    /// <summary>
    /// Held while a call queues its work. The scratch memory of a replayed graph is ONNX Runtime's again once the graph was
    /// captured, so that no replay may be queued in the midst of another call's kernels.
    /// </summary>
    public Lock Queue { get; } = new();

    /// <summary>What ONNX Runtime calls the device's memory.</summary>
    public OrtMemoryInfo MemoryInfo { get; }

    /// <summary>Opens a device.</summary>
    /// <param name="ordinal">Its number.</param>
    /// <exception cref="BambaException">There is no driver, or no such device.</exception>
    public static CudaDevice Open(int ordinal)
    {
        int count;
        try
        {
            Check(CudaDriver.Init(0), "the driver");
            Check(CudaDriver.DeviceGetCount(out count), "the devices");
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            throw new BambaException("expected NVIDIA's driver, found none that loads (libcuda.so.1, nvcuda.dll)", e);
        }
        if (ordinal >= count)
        {
            throw new BambaException($"expected CUDA device {ordinal}, found {count} devices, numbered from 0");
        }
        Check(CudaDriver.DeviceGet(out int handle, ordinal), $"device {ordinal}");
        Check(CudaDriver.PrimaryContextRetain(out nint context, handle), "a context");
        try
        {
            return new CudaDevice(ordinal, handle, context);
        }
        catch
        {
            _ = CudaDriver.PrimaryContextRelease(handle);
            throw;
        }
    }

    /// <summary>Bytes free for anybody, and bytes in all.</summary>
    public (long Free, long Total) Memory()
    {
        Enter();
        Check(CudaDriver.MemoryGetInfo(out nuint free, out nuint total), "its memory");
        return ((long)free, (long)total);
    }

    /// <summary>Makes the device that of the calling thread. Each call of the driver needs it.</summary>
    public void Enter() => Check(CudaDriver.ContextSetCurrent(Context), "a context");

    /// <summary>Waits for all that was queued.</summary>
    public void Synchronize()
    {
        Enter();
        Check(CudaDriver.StreamSynchronize(stream), "the end of its work");
    }

    /// <inheritdoc/>
    public override MemoryBlock Allocate(long bytes) => new CudaBlock(this, bytes);

    /// <inheritdoc/>
    public override StagingMemory AllocateStaging(long bytes) => new CudaStaging(this, bytes);

    /// <inheritdoc/>
    public void Dispose()
    {
        if (stream == 0)
        {
            return;
        }
        // Errors are of no use to anybody here.
        _ = CudaDriver.ContextSetCurrent(Context);
        _ = CudaDriver.StreamSynchronize(stream);
        _ = CudaDriver.StreamDestroy(stream);
        stream = 0;
        _ = CudaDriver.PrimaryContextRelease(handle);
        MemoryInfo.Dispose();
    }

    /// <summary>The one place where the driver's errors become ours.</summary>
    /// <exception cref="BambaException">The result is an error.</exception>
    public static void Check(int result, string wanted)
    {
        if (result != CudaDriver.Success)
        {
            throw new BambaException($"CUDA did not give {wanted}: {Describe(result)}");
        }
    }

    /// <summary>Bytes a second that a copy within the device's memory reads and writes: the best of a few, of a gibibyte each.</summary>
    public double MeasureCopySpeed()
    {
        const long Bytes = 1L << 30;
        const int Copies = 8;
        using MemoryBlock source = Allocate(Bytes);
        using MemoryBlock target = Allocate(Bytes);
        source.Clear(0, Bytes);
        target.Clear(0, Bytes);
        var all = new Region(0, Bytes);
        double best = 0;
        for (int round = 0; round < 3; round++)
        {
            Synchronize();
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < Copies; i++)
            {
                source.CopyTo(target, all, all);
            }
            Synchronize();
            best = Math.Max(best, 2.0 * Bytes * Copies / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return best;
    }

    private static string Describe(int error) =>
        CudaDriver.GetErrorString(error, out nint text) == CudaDriver.Success
            ? $"{Marshal.PtrToStringUTF8(text)} (error {error})"
            : $"error {error}";
}
