using System.Diagnostics;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.State;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// The sequences of a session and the runs of the graph that make them grow. It trusts its caller: rows exist, tokens are of
/// the vocabulary, nothing outgrows the context, and one thread calls at a time.
/// </summary>
internal sealed class SequenceRunner : IDisposable
{
    /// <summary>A call of many rows works on that many times the tokens of one; more go row by row.</summary>
    public const int MostChunksTogether = 8;

    private readonly int prefillChunk;
    private readonly Disposables owned = new();
    private readonly StateBuffers states;
    private readonly StateBackup backup;
    private readonly CallBuffers buffers;
    private readonly RowBinding allRows;
    private readonly RowBinding?[] singleRows;
    private readonly GraphRunner runner;
    private readonly SharedGraph graph;
    private readonly int[][] tokens;
    private readonly int vocabSize;
    private DeviceSampler? sampler;

    public SequenceRunner(
        SharedGraph graph,
        GraphSignature signature,
        StateLayout layout,
        SessionLimits limits,
        int prefillChunk
    )
    {
        this.graph = graph;
        vocabSize = limits.VocabSize;
        this.prefillChunk = Math.Min(prefillChunk, limits.ContextLength);
        singleRows = new RowBinding?[layout.BatchSize];
        try
        {
            states = owned.Add(new StateBuffers(graph.Memory, layout));
            backup = owned.Add(new StateBackup(states));
            buffers = owned.Add(
                new CallBuffers(graph.Memory, signature, limits.VocabSize, layout.BatchSize, this.prefillChunk)
            );
            allRows = owned.Add(new RowBinding(graph.Graph, states, buffers, 0, layout.BatchSize));
            runner = owned.Add(graph.CreateRunner(allRows));
        }
        catch
        {
            owned.Dispose();
            throw;
        }
        tokens = [.. Enumerable.Range(0, layout.BatchSize).Select(_ => new int[limits.ContextLength])];
    }

    /// <summary>Whether ONNX Runtime failed in the middle of a run, so that the caches hold no sequence's state.</summary>
    public bool IsDamaged { get; private set; }

    /// <summary>Time spent inside ONNX Runtime, in <see cref="Stopwatch"/> ticks.</summary>
    public long RunTicks { get; private set; }

    /// <summary>How a step of one token a row runs; null where there is but one way.</summary>
    public string? StepMode => runner.StepMode;

    private int BatchSize => states.Layout.BatchSize;

    /// <summary>The tokens that a row has taken.</summary>
    public ReadOnlySpan<int> Tokens(int row) => tokens[row].AsSpan(0, buffers.PastLens.Span[row]);

    /// <summary>Scores of a row's next token; empty when the row's last call left none.</summary>
    public ReadOnlySpan<float> Logits(int row) => buffers.Logits.Row(row);

    /// <summary>Stops a run that another thread is in, soon.</summary>
    public void Terminate() => runner.Stop();

    /// <summary>Feeds each row its tokens; rows without any stay as they are.</summary>
    public void Prefill(IReadOnlyList<ReadOnlyMemory<int>> rows, CancellationToken cancellationToken)
    {
        // A graph with attention takes several tokens of several rows only where no row has a past (GroupQueryAttention).
        bool together = BatchSize > 1 && !buffers.PastLens.Span.ContainsAnyExcept(0);
        int longest = 0;
        buffers.Logits.Forget(0, BatchSize);
        for (int row = 0; row < rows.Count; row++)
        {
            longest = Math.Max(longest, rows[row].Length);
            together &= rows[row].Length is > 0 and int length && length <= prefillChunk;
        }
        if (together && (long)longest * BatchSize <= (long)prefillChunk * MostChunksTogether)
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

    /// <summary>
    /// Begins to choose tokens where the scores are; false where that is the processor's work. Every row that takes part has scores.
    /// </summary>
    /// <param name="options">How each row chooses.</param>
    /// <param name="ends">The tokens that end a row.</param>
    /// <param name="resting">Rows that take no part.</param>
    public bool BeginSampling(ReadOnlySpan<SamplingRow> options, ReadOnlySpan<int> ends, ReadOnlySpan<bool> resting)
    {
        if (buffers.Logits.IsOfEveryPosition || ends.Length > DeviceSampler.MostEndTokens)
        {
            return false;
        }
        sampler ??= graph.CreateSampler(runner, buffers, BatchSize, vocabSize);
        if (sampler is null)
        {
            return false;
        }
        buffers.Logits.RequireInPlace(resting);
        sampler.Begin(options, ends, resting);
        return true;
    }

    /// <summary>The next token of each row that has not ended; the token before it was fed where it was chosen.</summary>
    /// <param name="chosen">Gets a token a row, or <see cref="BambaSession.NoToken"/> of one that rests.</param>
    /// <param name="ahead">Steps to have on their way beyond this one.</param>
    public void Sample(Span<int> chosen, int ahead)
    {
        long begin = Stopwatch.GetTimestamp();
        try
        {
            sampler!.Queue(ahead);
            sampler.Take(chosen);
        }
        catch (Exception e) when (e is OnnxRuntimeException or BambaException)
        {
            IsDamaged = true;
            throw new BambaException($"ONNX Runtime failed in the middle of a step: {e.Message}", e);
        }
        finally
        {
            RunTicks += Stopwatch.GetTimestamp() - begin;
        }
    }

    /// <summary>Lets a row take no more tokens.</summary>
    public void Rest(int row) => sampler!.Rest(row);

    /// <summary>Ends the choosing: from then on the session knows what each row took.</summary>
    /// <param name="chosen">The tokens that were chosen for each row, in order.</param>
    public void EndSampling(IReadOnlyList<IReadOnlyList<int>> chosen)
    {
        int[] before = buffers.PastLens.Span.ToArray();
        int[] lengths = new int[BatchSize];
        sampler!.End(lengths);
        for (int row = 0; row < BatchSize; row++)
        {
            int fed = lengths[row] - before[row];
            for (int i = 0; i < fed; i++)
            {
                tokens[row][before[row] + i] = chosen[row][i];
            }
            // A row that rested in the last step has the scores of its padding.
            if (fed == sampler.Steps)
            {
                if (fed > 0)
                {
                    buffers.Logits.Written(0, row, 1, 0);
                }
            }
            else
            {
                buffers.Logits.Forget(row, 1);
            }
        }
    }

    /// <summary>Makes every row a fresh sequence.</summary>
    public void Clear()
    {
        states.Clear();
        buffers.PastLens.Span.Clear();
        buffers.Logits.Forget(0, BatchSize);
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

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (RowBinding? row in singleRows)
        {
            row?.Dispose();
        }
        sampler?.Dispose();
        owned.Dispose();
    }

    private RowBinding BindingOf(int row) =>
        BatchSize == 1 ? allRows : singleRows[row] ??= new RowBinding(graph.Graph, states, buffers, row, 1);

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
        buffers.Logits.Forget(firstRow, rows);
        buffers.Upload(firstRow, rows, length);
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
            if (taken > 0)
            {
                buffers.Logits.Written(firstRow, row, length, taken - 1);
            }
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
            runner.Continue();
        }
    }

    private void RunToTheEnd(RowBinding binding, int length)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            runner.Run(binding, length);
        }
        catch (Exception e) when (e is OnnxRuntimeException or BambaException)
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
