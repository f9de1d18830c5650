using Bamba.Onnx.Contract;
using Bamba.Onnx.State;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Devices;

/// <summary>Pieces of equal size at equal distances in a block of memory.</summary>
/// <param name="Offset">Bytes before the first piece.</param>
/// <param name="Pieces">How many.</param>
/// <param name="PieceBytes">Bytes of a piece.</param>
/// <param name="Stride">Bytes from the start of a piece to that of the next.</param>
internal readonly record struct Region(long Offset, int Pieces, long PieceBytes, long Stride)
{
    /// <summary>One piece.</summary>
    public Region(long offset, long bytes)
        : this(offset, 1, bytes, bytes) { }

    /// <summary>Bytes of all pieces.</summary>
    public long Bytes => Pieces * PieceBytes;

    /// <summary>Where the last piece ends.</summary>
    public long End => Pieces == 0 ? Offset : Offset + ((Pieces - 1) * Stride) + PieceBytes;
}

/// <summary>
/// Memory that never moves, in which tensors lie that ONNX Runtime reads and writes. Work on a block of a device is queued
/// behind the device's earlier work; only <see cref="Read"/> and disposal wait for it.
/// </summary>
internal abstract unsafe class MemoryBlock(long bytes) : IDisposable
{
    /// <summary>Size in bytes.</summary>
    public long Bytes { get; } = bytes;

    /// <summary>The first byte's address, in whichever memory it is.</summary>
    public abstract nint Address { get; }

    /// <summary>What ONNX Runtime calls the memory.</summary>
    protected abstract OrtMemoryInfo Info { get; }

    /// <summary>A part as a tensor; whoever asks disposes the value, not the memory.</summary>
    public OrtValue View(long offset, ElementType type, params ReadOnlySpan<long> shape)
    {
        long size = type.SizeInBytes();
        foreach (long axis in shape)
        {
            size = checked(size * axis);
        }
        RequireInside(new Region(offset, size));
        return OrtValue.CreateTensorValueWithData(
            Info,
            OrtElementTypes.Of(type),
            shape.ToArray(),
            (nint)(Address + offset),
            size
        );
    }

    /// <summary>Fills a part with zeros.</summary>
    public abstract void Clear(long offset, long bytes);

    /// <summary>Copies pieces, one behind another, to the processor's memory.</summary>
    public void Read(Region source, Span<byte> target)
    {
        RequireInside(source);
        fixed (byte* pointer = target[..checked((int)source.Bytes)])
        {
            CopyOut(source, pointer);
        }
    }

    /// <summary>Copies what lies one behind another in the processor's memory to pieces. Staging memory is read later, in the order of the work that was asked for.</summary>
    public void Write(Region target, ReadOnlySpan<byte> source)
    {
        RequireInside(target);
        fixed (byte* pointer = source[..checked((int)target.Bytes)])
        {
            CopyIn(pointer, target);
        }
    }

    /// <summary>Copies pieces to as many of the same size of a block of the same memory.</summary>
    public void CopyTo(MemoryBlock target, Region from, Region to)
    {
        RequireInside(from);
        target.RequireInside(to);
        if (from.Pieces != to.Pieces || from.PieceBytes != to.PieceBytes)
        {
            throw new ArgumentException($"expected as many pieces of the same size as {from}, found {to}", nameof(to));
        }
        CopyAcross(target, from, to);
    }

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>Copies pieces to <paramref name="target"/>; they are there when it returns.</summary>
    protected abstract void CopyOut(Region source, byte* target);

    /// <summary>Copies <paramref name="source"/> to pieces; it may be overwritten when this returns, unless it is staging memory.</summary>
    protected abstract void CopyIn(byte* source, Region target);

    /// <summary>Copies pieces within one memory.</summary>
    protected abstract void CopyAcross(MemoryBlock target, Region from, Region to);

    private void RequireInside(Region region)
    {
        if (region.Offset < 0 || region.PieceBytes < 0 || region.End > Bytes)
        {
            throw new ArgumentOutOfRangeException(nameof(region), region, $"expected a part of {Bytes} bytes");
        }
    }
}
