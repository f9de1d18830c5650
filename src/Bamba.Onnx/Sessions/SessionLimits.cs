using Bamba.Onnx.State;

namespace Bamba.Onnx.Sessions;

/// <summary>What a session takes; the one place that says so when it is asked for something else.</summary>
internal sealed record SessionLimits(int BatchSize, int ContextLength, int VocabSize)
{
    public void RequireRow(int row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, BatchSize);
    }

    public void RequireRows(int count, string parameter)
    {
        if (count != BatchSize)
        {
            throw new ArgumentException($"expected {BatchSize} rows, those of the session, found {count}", parameter);
        }
    }

    /// <summary>Tokens of the vocabulary that fit behind a row's <paramref name="length"/>.</summary>
    public void RequireTokens(int row, int length, ReadOnlySpan<int> tokens, string parameter)
    {
        foreach (int token in tokens)
        {
            if ((uint)token >= (uint)VocabSize)
            {
                throw new ArgumentOutOfRangeException(
                    parameter,
                    $"expected token ids from 0 to {VocabSize - 1}, found {token} in row {row}"
                );
            }
        }
        RequireRoom((long)length + tokens.Length);
    }

    public void RequireRoom(long tokens)
    {
        if (tokens > ContextLength)
        {
            throw new ContextLengthException(tokens, ContextLength);
        }
    }

    /// <summary>For each row of the session one of <paramref name="count"/> others.</summary>
    public void RequireSourceRows(ReadOnlySpan<int> sourceRows, int count, string parameter)
    {
        RequireRows(sourceRows.Length, parameter);
        for (int row = 0; row < sourceRows.Length; row++)
        {
            if ((uint)sourceRows[row] >= (uint)count)
            {
                throw new ArgumentOutOfRangeException(
                    parameter,
                    $"expected rows from 0 to {count - 1}, found {sourceRows[row]} for row {row}"
                );
            }
        }
    }

    /// <summary>The snapshot's rows that the session's become.</summary>
    public RowSnapshot[] RequireSource(BambaStateSnapshot snapshot, ReadOnlySpan<int> sourceRows, string parameter)
    {
        RequireSourceRows(sourceRows, snapshot.Rows, parameter);
        var rows = new RowSnapshot[sourceRows.Length];
        for (int row = 0; row < rows.Length; row++)
        {
            rows[row] = snapshot.RowStates[sourceRows[row]];
            RequireRoom(rows[row].Tokens.Length);
        }
        return rows;
    }
}
