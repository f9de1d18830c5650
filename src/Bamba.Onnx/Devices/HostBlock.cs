using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Devices;

/// <summary>Memory of the processor.</summary>
internal sealed unsafe class HostBlock : MemoryBlock
{
    // What ONNX Runtime's own allocator gives, so that vector loads never straddle a cache line.
    private const nuint Alignment = 64;

    private readonly byte[]? array;
    private byte* memory;

    /// <param name="bytes">Size.</param>
    /// <exception cref="OutOfMemoryException">There is not so much.</exception>
    public HostBlock(long bytes)
        : base(bytes)
    {
        memory = (byte*)NativeMemory.AlignedAlloc(checked((nuint)Math.Max(bytes, 1)), Alignment);
    }

    private HostBlock(byte[] array)
        : base(array.Length)
    {
        this.array = array;
        memory = (byte*)Marshal.UnsafeAddrOfPinnedArrayElement(array, 0);
    }

    /// <summary>Memory that the garbage collector manages: for what comes and goes with calls, which in native memory would leave holes.</summary>
    /// <param name="bytes">Size.</param>
    public static HostBlock Passing(int bytes) => new(GC.AllocateUninitializedArray<byte>(bytes, pinned: true));

    /// <inheritdoc/>
    public override nint Address => (nint)memory;

    /// <inheritdoc/>
    protected override OrtMemoryInfo Info => OrtMemoryInfo.DefaultInstance;

    /// <inheritdoc/>
    public override void Clear(long offset, long bytes) => NativeMemory.Clear(memory + offset, checked((nuint)bytes));

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (array is null)
        {
            NativeMemory.AlignedFree(memory);
        }
        memory = null;
    }

    /// <inheritdoc/>
    protected override void CopyOut(Region source, byte* target)
    {
        for (int piece = 0; piece < source.Pieces; piece++, target += source.PieceBytes)
        {
            NativeMemory.Copy(PieceAt(source, piece), target, checked((nuint)source.PieceBytes));
        }
    }

    /// <inheritdoc/>
    protected override void CopyIn(byte* source, Region target)
    {
        for (int piece = 0; piece < target.Pieces; piece++, source += target.PieceBytes)
        {
            NativeMemory.Copy(source, PieceAt(target, piece), checked((nuint)target.PieceBytes));
        }
    }

    /// <inheritdoc/>
    protected override void CopyAcross(MemoryBlock target, Region from, Region to)
    {
        for (int piece = 0; piece < from.Pieces; piece++)
        {
            byte* place = (byte*)target.Address + to.Offset + (piece * to.Stride);
            NativeMemory.Copy(PieceAt(from, piece), place, checked((nuint)from.PieceBytes));
        }
    }

    private byte* PieceAt(Region region, int piece) => memory + region.Offset + (piece * region.Stride);
}
