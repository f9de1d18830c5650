using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>The kernels of <c>bamba_ops_cuda</c> that choose tokens, by its C interface (custom-ops/kernels/sample_tokens.h).</summary>
internal sealed unsafe class SamplingLibrary
{
    // A library of another version has other names, so that layouts that differ never meet.
    private const string WorkspaceEntry = "BambaSampleTokensWorkspace_1";
    private const string RunEntry = "BambaSampleTokens_1";

    private readonly delegate* unmanaged<int, int, nuint> workspaceBytes;
    private readonly delegate* unmanaged<SamplingStep*, int, nint, byte*> run;

    private SamplingLibrary(nint library)
    {
        workspaceBytes = (delegate* unmanaged<int, int, nuint>)NativeLibrary.GetExport(library, WorkspaceEntry);
        run = (delegate* unmanaged<SamplingStep*, int, nint, byte*>)NativeLibrary.GetExport(library, RunEntry);
    }

    /// <summary>Loads the library; null where it has no such kernels.</summary>
    /// <exception cref="BambaException">It cannot be loaded.</exception>
    public static SamplingLibrary? Load(string path)
    {
        nint library;
        try
        {
            library = NativeLibrary.Load(path);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            throw new BambaException($"{path}: expected a library that loads: {e.Message}", e);
        }
        return NativeLibrary.TryGetExport(library, RunEntry, out _) ? new SamplingLibrary(library) : null;
    }

    /// <summary>Bytes of device memory that a choice for so many rows works in.</summary>
    public long WorkspaceBytes(int rows, int vocabSize) => (long)workspaceBytes(rows, vocabSize);

    /// <summary>Queues a choice on the device's stream.</summary>
    /// <exception cref="BambaException">CUDA refuses it.</exception>
    public void Run(SamplingStep step, CudaDevice device)
    {
        if (run(&step, device.Ordinal, device.Stream) is var problem && problem != null)
        {
            throw new BambaException($"CUDA did not choose tokens: {Marshal.PtrToStringUTF8((nint)problem)}");
        }
    }
}

/// <summary>How a row's token is chosen, and where the row ends.</summary>
/// <param name="Temperature">As of <see cref="Sampling.SamplingOptions"/>.</param>
/// <param name="TopP">As there.</param>
/// <param name="MinP">As there.</param>
/// <param name="Seed">As there.</param>
/// <param name="TopK">As there; 0 for all.</param>
/// <param name="LastPosition">A token that is chosen with so many before it ends the row.</param>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct SamplingRow(
    double Temperature,
    double TopP,
    double MinP,
    ulong Seed,
    int TopK,
    int LastPosition
);

/// <summary>What a choice for all rows reads and writes. Pointers are of device memory, but for <see cref="Emitted"/>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SamplingStep
{
    public nint Logits;
    public nint Options;
    public nint EndTokens;
    public int EndTokenCount;
    public int Rows;
    public int VocabSize;
    public int Advance;
    public nint PastLens;
    public nint SeqLens;
    public nint NextTokens;
    public nint Emitted;
    public int Ring;
    public nint Workspace;
}
