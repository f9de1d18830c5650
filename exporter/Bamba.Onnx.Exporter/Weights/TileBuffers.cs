using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>
/// Two buffers of one tile each: a tile starts in the first, and every step that cannot work in place crosses to the other.
/// </summary>
/// <param name="tileBytes">The most that a tile takes in any of its forms.</param>
internal sealed class TileBuffers(int tileBytes) : IDisposable
{
    private readonly NativeBuffer first = new(tileBytes);
    private readonly NativeBuffer second = new(tileBytes);

    public void Dispose()
    {
        first.Dispose();
        second.Dispose();
    }

    /// <summary>Room for a new tile, which ends the one before.</summary>
    public Span<byte> Start(int bytes) => first.Span[..bytes];

    /// <summary>The tile's elements in another type.</summary>
    /// <param name="tile">A tile of these buffers; it stays readable.</param>
    /// <param name="from">Its element type.</param>
    /// <param name="to">The type to convert to.</param>
    /// <param name="overflow">The index of the first finite element that would become infinite, or -1.</param>
    public Span<byte> Convert(Span<byte> tile, ElementType from, ElementType to, out int overflow)
    {
        overflow = -1;
        if (from == to)
        {
            return tile;
        }
        Span<byte> converted = Other(tile)[..(tile.Length / from.SizeInBytes() * to.SizeInBytes())];
        ElementConversion.TryConvert(tile, from, converted, to, out overflow);
        return converted;
    }

    /// <summary>Room for what is made of a tile, which stays readable.</summary>
    public Span<byte> Beside(ReadOnlySpan<byte> tile, int bytes) => Other(tile)[..bytes];

    /// <summary>The transpose of a tile.</summary>
    /// <param name="tile">[rows, columns], row-major, a tile of these buffers.</param>
    /// <param name="rows">Its rows.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="elementBytes">Bytes of an element: 2, 4 or 8.</param>
    /// <returns>[columns, rows], row-major.</returns>
    public Span<byte> Transpose(Span<byte> tile, int rows, int columns, int elementBytes)
    {
        if (rows == 1 || columns == 1)
        {
            return tile;
        }
        Span<byte> transposed = Other(tile)[..tile.Length];
        switch (elementBytes)
        {
            case sizeof(ushort):
                TransposeAs<ushort>(tile, transposed, rows, columns);
                break;
            case sizeof(uint):
                TransposeAs<uint>(tile, transposed, rows, columns);
                break;
            case sizeof(ulong):
                TransposeAs<ulong>(tile, transposed, rows, columns);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(elementBytes), elementBytes, null);
        }
        return transposed;
    }

    private static void TransposeAs<T>(Span<byte> source, Span<byte> destination, int rows, int columns)
        where T : unmanaged =>
        MatrixTranspose.Transpose(
            MemoryMarshal.Cast<byte, T>(source),
            rows,
            columns,
            MemoryMarshal.Cast<byte, T>(destination)
        );

    private Span<byte> Other(ReadOnlySpan<byte> tile) => tile.Overlaps(first.Span) ? second.Span : first.Span;
}
