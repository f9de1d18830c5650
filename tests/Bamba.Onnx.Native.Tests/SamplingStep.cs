using System.Runtime.InteropServices;

namespace Bamba.Onnx.Native.Tests;

/// <summary><c>BambaSamplingRow</c> of custom-ops/kernels/sample_tokens.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SamplingRow
{
    public double Temperature;
    public double TopP;
    public double MinP;
    public ulong Seed;
    public int TopK;
    public int LastPosition;
}

/// <summary><c>BambaSamplingStep</c> of the same file.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SamplingStep
{
    public float* Logits;
    public SamplingRow* Options;
    public int* EndTokens;
    public int EndTokenCount;
    public int Rows;
    public int Vocab;
    public int Advance;
    public int* PastLens;
    public int* SeqLens;
    public long* NextTokens;
    public int* Emitted;
    public int Ring;
    public void* Workspace;
}
