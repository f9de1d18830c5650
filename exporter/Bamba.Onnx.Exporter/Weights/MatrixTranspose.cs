namespace Bamba.Onnx.Exporter.Weights;

/// <summary>Transposes matrices in memory, block by block so that both sides stay in the first-level cache.</summary>
internal static class MatrixTranspose
{
    private const int Block = 32;

    /// <summary>Writes the transpose of a matrix.</summary>
    /// <param name="source">[rows, columns], row-major.</param>
    /// <param name="rows">Rows of the source.</param>
    /// <param name="columns">Columns of the source.</param>
    /// <param name="destination">[columns, rows], row-major.</param>
    public static void Transpose<T>(ReadOnlySpan<T> source, int rows, int columns, Span<T> destination)
        where T : unmanaged
    {
        for (int row = 0; row < rows; row += Block)
        {
            int rowsOfBlock = Math.Min(Block, rows - row);
            for (int column = 0; column < columns; column += Block)
            {
                int columnsOfBlock = Math.Min(Block, columns - column);
                TransposeBlock(
                    source[((row * columns) + column)..],
                    columns,
                    rowsOfBlock,
                    columnsOfBlock,
                    destination[((column * rows) + row)..],
                    rows
                );
            }
        }
    }

    private static void TransposeBlock<T>(
        ReadOnlySpan<T> source,
        int sourceStride,
        int rows,
        int columns,
        Span<T> destination,
        int destinationStride
    )
    {
        for (int row = 0; row < rows; row++)
        {
            ReadOnlySpan<T> line = source.Slice(row * sourceStride, columns);
            int target = row;
            foreach (T value in line)
            {
                destination[target] = value;
                target += destinationStride;
            }
        }
    }
}
