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
internal sealed partial class SequenceRunner : IDisposable
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

    /// <summary>Makes every row a fresh sequence.</summary>
    public void Clear()
    {
        states.Clear();
        buffers.PastLens.Span.Clear();
        buffers.Logits.Forget(0, BatchSize);
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
