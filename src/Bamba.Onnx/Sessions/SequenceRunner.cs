using System.Diagnostics;
using Bamba.Onnx.Contract;
using Bamba.Onnx.State;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// The sequences of a session and the runs of the graph that make them grow. It trusts its caller: rows exist, tokens are of
/// the vocabulary, nothing outgrows the context, and one thread calls at a time.
/// </summary>
internal sealed class SequenceRunner : IDisposable
{
    private const int NoLogits = -1;

    private readonly InferenceSession graph;
    private readonly int vocabSize;
    private readonly int prefillChunk;
    private readonly StateBuffers states;
    private readonly StateBackup backup;
    private readonly CallBuffers buffers;
    private readonly RowBinding allRows;
    private readonly RowBinding?[] singleRows;

    // Failures come as exceptions; ONNX Runtime need not write them to standard error too.
    private readonly RunOptions runOptions = new() { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
    private readonly int[][] tokens;
    private readonly int[] logitsStart;

    public SequenceRunner(
        InferenceSession graph,
        GraphSignature signature,
        StateLayout layout,
        SessionLimits limits,
        int prefillChunk
    )
    {
        this.graph = graph;
        this.prefillChunk = Math.Min(prefillChunk, limits.ContextLength);
        vocabSize = limits.VocabSize;
        states = new StateBuffers(layout);
        backup = new StateBackup(states);
        buffers = new CallBuffers(signature, vocabSize, layout.BatchSize, this.prefillChunk);
        allRows = new RowBinding(graph, states, buffers, 0, layout.BatchSize);
        singleRows = new RowBinding?[layout.BatchSize];
        tokens = [.. Enumerable.Range(0, layout.BatchSize).Select(_ => new int[limits.ContextLength])];
        logitsStart = new int[layout.BatchSize];
        logitsStart.AsSpan().Fill(NoLogits);
    }

    /// <summary>Whether ONNX Runtime failed in the middle of a run, so that the caches hold no sequence's state.</summary>
    public bool IsDamaged { get; private set; }

    /// <summary>Time spent inside ONNX Runtime, in <see cref="Stopwatch"/> ticks.</summary>
    public long RunTicks { get; private set; }

    private int BatchSize => states.Layout.BatchSize;

    /// <summary>The tokens that a row has taken.</summary>
    public ReadOnlySpan<int> Tokens(int row) => tokens[row].AsSpan(0, buffers.PastLens.Span[row]);

    /// <summary>Scores of a row's next token; empty when the row's last call left none.</summary>
    public ReadOnlySpan<float> Logits(int row) =>
        logitsStart[row] == NoLogits ? [] : buffers.Logits.Span.Slice(logitsStart[row], vocabSize);

    /// <summary>Stops a run that another thread is in, soon.</summary>
    public void Terminate() => runOptions.Terminate = true;

    /// <summary>Feeds each row its tokens; rows without any stay as they are.</summary>
    public void Prefill(IReadOnlyList<ReadOnlyMemory<int>> rows, CancellationToken cancellationToken)
    {
        // A graph with attention takes several tokens of several rows only where no row has a past (GroupQueryAttention).
        bool together = BatchSize > 1 && !buffers.PastLens.Span.ContainsAnyExcept(0);
        int longest = 0;
        for (int row = 0; row < rows.Count; row++)
        {
            logitsStart[row] = NoLogits;
            longest = Math.Max(longest, rows[row].Length);
            together &= rows[row].Length is > 0 and int length && length <= prefillChunk;
        }
        if (together)
        {
            for (int row = 0; row < rows.Count; row++)
            {
                Stage(row, row * longest, longest, rows[row].Span);
            }
            Run(allRows, 0, BatchSize, longest, cancellationToken);
            return;
        }
        for (int row = 0; row < rows.Count; row++)
        {
            for (ReadOnlySpan<int> rest = rows[row].Span; !rest.IsEmpty; )
            {
                ReadOnlySpan<int> chunk = rest[..Math.Min(rest.Length, prefillChunk)];
                Stage(row, 0, chunk.Length, chunk);
                Run(BindingOf(row), row, 1, chunk.Length, cancellationToken);
                rest = rest[chunk.Length..];
            }
        }
    }

    /// <summary>Feeds each row one token, or none where it is <see cref="BambaSession.NoToken"/>.</summary>
    public void Decode(ReadOnlySpan<int> next)
    {
        for (int row = 0; row < next.Length; row++)
        {
            Stage(row, row, 1, next[row] == BambaSession.NoToken ? [] : next.Slice(row, 1));
        }
        Run(allRows, 0, BatchSize, 1, CancellationToken.None);
    }

    /// <summary>Makes every row a fresh sequence.</summary>
    public void Clear()
    {
        states.Clear();
        buffers.PastLens.Span.Clear();
        logitsStart.AsSpan().Fill(NoLogits);
        IsDamaged = false;
    }

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
            logitsStart[row] = NoLogits;
            if (copy.Logits is { } logits)
            {
                logitsStart[row] = buffers.RestoredLogits(row);
                logits.CopyTo(buffers.Logits.Span[logitsStart[row]..]);
            }
        }
        IsDamaged = false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        allRows.Dispose();
        foreach (RowBinding? row in singleRows)
        {
            row?.Dispose();
        }
        runOptions.Dispose();
        buffers.Dispose();
        states.Dispose();
    }

    private RowBinding BindingOf(int row) =>
        BatchSize == 1 ? allRows : singleRows[row] ??= new RowBinding(graph, states, buffers, row, 1);

    /// <summary>
    /// Writes a row's tokens where the next run reads them, and where they stay known. The rest of the width computes on some
    /// token of the vocabulary; the row's length keeps that out of its caches.
    /// </summary>
    private void Stage(int row, int start, int width, ReadOnlySpan<int> staged)
    {
        Span<long> ids = buffers.Tokens.Span.Slice(start, width);
        for (int i = 0; i < staged.Length; i++)
        {
            ids[i] = staged[i];
        }
        ids[staged.Length..].Clear();
        staged.CopyTo(tokens[row].AsSpan(buffers.PastLens.Span[row]));
        buffers.SeqLens.Span[row] = staged.Length;
    }

    private void Run(RowBinding binding, int firstRow, int rows, int length, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        logitsStart.AsSpan(firstRow, rows).Fill(NoLogits);
        if (cancellationToken.CanBeCanceled)
        {
            RunUnlessCanceled(binding, firstRow, rows, length, cancellationToken);
        }
        else
        {
            RunToTheEnd(binding, length);
        }
        for (int row = firstRow; row < firstRow + rows; row++)
        {
            int taken = buffers.SeqLens.Span[row];
            buffers.PastLens.Span[row] += taken;
            logitsStart[row] = taken == 0 ? NoLogits : buffers.LastLogits(firstRow, row, length);
        }
    }

    private void RunUnlessCanceled(
        RowBinding binding,
        int firstRow,
        int rows,
        int length,
        CancellationToken cancellationToken
    )
    {
        backup.Save(firstRow, rows);
        CancellationTokenRegistration registration = cancellationToken.UnsafeRegister(
            static runner => ((SequenceRunner)runner!).Terminate(),
            this
        );
        try
        {
            RunToTheEnd(binding, length);
        }
        catch (BambaException) when (cancellationToken.IsCancellationRequested)
        {
            backup.Restore(firstRow, rows);
            IsDamaged = false;
            cancellationToken.ThrowIfCancellationRequested();
        }
        finally
        {
            // After this the callback has ended or never comes.
            registration.Dispose();
            runOptions.Terminate = false;
        }
    }

    private void RunToTheEnd(RowBinding binding, int length)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            graph.RunWithBinding(runOptions, binding.For(length));
        }
        catch (OnnxRuntimeException e)
        {
            IsDamaged = true;
            throw new BambaException($"ONNX Runtime failed in the middle of a run: {e.Message}", e);
        }
        finally
        {
            RunTicks += Stopwatch.GetTimestamp() - start;
        }
    }
}
