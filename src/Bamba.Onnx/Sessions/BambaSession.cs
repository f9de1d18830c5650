using Bamba.Onnx.Contract;
using Bamba.Onnx.State;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// Sequences that grow side by side. Their caches lie in buffers that ONNX Runtime updates in place; nothing of them is
/// copied from call to call. One thread at a time may use a session; several sessions of a runtime may run at once.
/// </summary>
public sealed class BambaSession : IDisposable
{
    private readonly InferenceSession graph;
    private readonly BambaConfig config;
    private readonly int prefillChunk;
    private readonly StateBuffers states;
    private readonly CallBuffers buffers;
    private readonly RowBinding allRows;
    private readonly RowBinding?[] singleRows;
    private readonly RunOptions runOptions = new();
    private readonly int[] logitsStart;
    private bool disposed;

    internal BambaSession(
        InferenceSession graph,
        GraphSignature signature,
        BambaConfig config,
        int batchSize,
        int contextLength,
        int prefillChunk
    )
    {
        this.graph = graph;
        this.config = config;
        this.prefillChunk = Math.Min(prefillChunk, contextLength);
        BatchSize = batchSize;
        ContextLength = contextLength;
        states = new StateBuffers(signature.Caches, batchSize, contextLength);
        buffers = new CallBuffers(signature, config.VocabSize, batchSize, this.prefillChunk);
        allRows = new RowBinding(graph, states, buffers, 0, batchSize);
        singleRows = new RowBinding?[batchSize];
        logitsStart = new int[batchSize];
    }

    /// <summary>Rows.</summary>
    public int BatchSize { get; }

    /// <summary>Most tokens of a row.</summary>
    public int ContextLength { get; }

    /// <summary>Bytes of the caches of all rows.</summary>
    public long StateBytes => states.Bytes;

    internal int Version { get; private set; }

    /// <summary>Tokens that a row has taken.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="row"/> is not a row of the session.</exception>
    public int Length(int row)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, BatchSize);
        return buffers.PastLens.Span[row];
    }

    /// <summary>Feeds tokens to a session of one row.</summary>
    /// <param name="tokens">At least one.</param>
    /// <param name="cancellationToken">Ends the work between chunks; the row then has the chunks that ran.</param>
    /// <returns>The scores of the next token.</returns>
    /// <exception cref="ArgumentException">There are no tokens, one is outside the vocabulary, or the session has several rows.</exception>
    /// <exception cref="ContextLengthException">The row would grow past the context.</exception>
    public Logits Prefill(ReadOnlyMemory<int> tokens, CancellationToken cancellationToken = default) =>
        Prefill([tokens], cancellationToken);

    /// <summary>Feeds each row its tokens, as many as it likes; prompts longer than a chunk go in several calls.</summary>
    /// <param name="rows">One list a row, each with at least one token.</param>
    /// <param name="cancellationToken">Ends the work between chunks; rows then have the chunks that ran.</param>
    /// <returns>The scores of each row's next token.</returns>
    /// <exception cref="ArgumentException">A row is missing or empty, or a token is outside the vocabulary.</exception>
    /// <exception cref="ContextLengthException">A row would grow past the context.</exception>
    public Logits Prefill(IReadOnlyList<ReadOnlyMemory<int>> rows, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        ArgumentNullException.ThrowIfNull(rows);
        RequireRows(rows.Count, nameof(rows));
        for (int row = 0; row < rows.Count; row++)
        {
            RequireTokens(row, rows[row].Span, nameof(rows));
        }

        // A graph with attention takes several tokens of several rows only where no row has a past (GroupQueryAttention).
        bool together =
            BatchSize > 1
            && rows.All(tokens => tokens.Length <= prefillChunk)
            && !buffers.PastLens.Span.ContainsAnyExcept(0);
        if (together)
        {
            cancellationToken.ThrowIfCancellationRequested();
            PrefillTogether(rows);
        }
        else
        {
            for (int row = 0; row < rows.Count; row++)
            {
                PrefillRow(row, rows[row].Span, cancellationToken);
            }
        }
        return CurrentLogits();
    }

    /// <summary>Feeds each row one token.</summary>
    /// <param name="tokens">One token a row.</param>
    /// <returns>The scores of each row's next token.</returns>
    /// <exception cref="ArgumentException">There are more or fewer tokens than rows, or one is outside the vocabulary.</exception>
    /// <exception cref="ContextLengthException">A row would grow past the context.</exception>
    public Logits Decode(params ReadOnlySpan<int> tokens)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        RequireRows(tokens.Length, nameof(tokens));
        Span<long> ids = buffers.Tokens.Span;
        for (int row = 0; row < tokens.Length; row++)
        {
            RequireTokens(row, tokens.Slice(row, 1), nameof(tokens));
            ids[row] = tokens[row];
        }
        buffers.SeqLens.Span.Fill(1);
        Run(allRows, 0, BatchSize, 1);
        return CurrentLogits();
    }

    /// <summary>Forgets every row's tokens.</summary>
    public void Reset()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        states.Clear();
        buffers.PastLens.Span.Clear();
        Version++;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (disposed)
        {
            return;
        }
        disposed = true;
        allRows.Dispose();
        foreach (RowBinding? row in singleRows)
        {
            row?.Dispose();
        }
        runOptions.Dispose();
        buffers.Dispose();
        states.Dispose();
    }

    internal ReadOnlySpan<float> LogitsOf(int row, int version)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (version != Version)
        {
            throw new InvalidOperationException("these logits were overwritten by a later call of their session");
        }
        return buffers.Logits.Span.Slice(logitsStart[row], config.VocabSize);
    }

    private void PrefillTogether(IReadOnlyList<ReadOnlyMemory<int>> rows)
    {
        int length = rows.Max(tokens => tokens.Length);
        Span<long> ids = buffers.Tokens.Span[..(BatchSize * length)];
        ids.Clear();
        for (int row = 0; row < rows.Count; row++)
        {
            Write(rows[row].Span, ids[(row * length)..]);
            buffers.SeqLens.Span[row] = rows[row].Length;
        }
        Run(allRows, 0, BatchSize, length);
    }

    private void PrefillRow(int row, ReadOnlySpan<int> tokens, CancellationToken cancellationToken)
    {
        RowBinding binding =
            BatchSize == 1 ? allRows : singleRows[row] ??= new RowBinding(graph, states, buffers, row, 1);
        while (!tokens.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ReadOnlySpan<int> chunk = tokens[..Math.Min(tokens.Length, prefillChunk)];
            Write(chunk, buffers.Tokens.Span);
            buffers.SeqLens.Span[row] = chunk.Length;
            Run(binding, row, 1, chunk.Length);
            tokens = tokens[chunk.Length..];
        }
    }

    private void Run(RowBinding binding, int firstRow, int rows, int length)
    {
        Version++;
        graph.RunWithBinding(runOptions, binding.For(length));
        for (int row = firstRow; row < firstRow + rows; row++)
        {
            buffers.PastLens.Span[row] += buffers.SeqLens.Span[row];
            logitsStart[row] = buffers.LastLogits(firstRow, row, length);
        }
    }

    private Logits CurrentLogits() => new(this, Version, config.VocabSize);

    private void RequireRows(int count, string parameter)
    {
        if (count != BatchSize)
        {
            throw new ArgumentException($"expected {BatchSize} rows, those of the session, found {count}", parameter);
        }
    }

    private void RequireTokens(int row, ReadOnlySpan<int> tokens, string parameter)
    {
        if (tokens.IsEmpty)
        {
            throw new ArgumentException($"expected at least one token in row {row}, found none", parameter);
        }
        foreach (int token in tokens)
        {
            if ((uint)token >= (uint)config.VocabSize)
            {
                throw new ArgumentOutOfRangeException(
                    parameter,
                    $"expected token ids from 0 to {config.VocabSize - 1}, found {token} in row {row}"
                );
            }
        }
        long grown = (long)buffers.PastLens.Span[row] + tokens.Length;
        if (grown > ContextLength)
        {
            throw new ContextLengthException(grown, ContextLength);
        }
    }

    private static void Write(ReadOnlySpan<int> tokens, Span<long> target)
    {
        for (int i = 0; i < tokens.Length; i++)
        {
            target[i] = tokens[i];
        }
    }
}
