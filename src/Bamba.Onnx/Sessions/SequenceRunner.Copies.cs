using Bamba.Onnx.State;

namespace Bamba.Onnx.Sessions;

// Rows as copies of others: of snapshots, of rows beside them, of another session's.
internal sealed partial class SequenceRunner
{
    /// <summary>A copy of a row.</summary>
    public RowSnapshot Pack(int row)
    {
        int[] taken = Tokens(row).ToArray();
        byte[][] caches = [.. states.Layout.Caches.Select(cache => new byte[cache.PackedBytes(taken.Length)])];
        for (int i = 0; i < caches.Length; i++)
        {
            states.Pack(i, row, taken.Length, caches[i]);
        }
        return new RowSnapshot(taken, [.. caches], Logits(row) is { IsEmpty: false } logits ? logits.ToArray() : null);
    }

    /// <summary>Makes each row a copy of another's; the copies have the sizes that this model's caches have.</summary>
    public void Unpack(ReadOnlySpan<RowSnapshot> rows)
    {
        for (int row = 0; row < rows.Length; row++)
        {
            RowSnapshot copy = rows[row];
            for (int i = 0; i < copy.Caches.Length; i++)
            {
                states.Unpack(i, row, copy.Tokens.Length, copy.Caches[i]);
            }
            copy.Tokens.CopyTo(tokens[row], 0);
            buffers.PastLens.Span[row] = copy.Tokens.Length;
            if (copy.Logits is { } logits)
            {
                buffers.Logits.Set(row, logits);
            }
            else
            {
                buffers.Logits.Forget(row, 1);
            }
        }
        IsDamaged = false;
    }

    /// <summary>Makes each row a copy of another's, where the caches are.</summary>
    /// <param name="sourceRows">For each row the row that it becomes.</param>
    public void Reorder(ReadOnlySpan<int> sourceRows)
    {
        int[] lengths = [.. sourceRows.ToArray().Select(source => Tokens(source).Length)];
        int[][] taken =
        [
            .. sourceRows.ToArray().Select((source, row) => source == row ? [] : Tokens(source).ToArray()),
        ];
        states.Reorder(sourceRows, lengths);
        buffers.Logits.Reorder(sourceRows);
        for (int row = 0; row < sourceRows.Length; row++)
        {
            taken[row].CopyTo(tokens[row], 0);
            buffers.PastLens.Span[row] = lengths[row];
        }
    }

    /// <summary>Makes each row what it is in another session of as many rows, which stays as it is.</summary>
    public void CopyFrom(SequenceRunner source)
    {
        for (int row = 0; row < BatchSize; row++)
        {
            ReadOnlySpan<int> taken = source.Tokens(row);
            states.CopyRow(source.states, row, row, taken.Length);
            taken.CopyTo(tokens[row]);
            buffers.PastLens.Span[row] = taken.Length;
            buffers.Logits.CopyFrom(source.buffers.Logits, row, row);
        }
        IsDamaged = false;
    }
}
