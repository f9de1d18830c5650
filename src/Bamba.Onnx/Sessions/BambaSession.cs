using System.Diagnostics;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.Diagnostics;
using Bamba.Onnx.State;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// Sequences that grow side by side, a row each. Their caches lie in buffers that ONNX Runtime updates in place; nothing of
/// them is copied from call to call.
/// </summary>
/// <remarks>
/// One thread at a time may use a session: a call that finds another thread in one throws and changes nothing. Sessions of a
/// runtime are independent and may run at once. <see cref="Dispose"/> may come from any thread at any time, before or after the
/// runtime's; a prefill that runs then ends early.
/// </remarks>
public sealed class BambaSession : IDisposable
{
    /// <summary>In place of a token for <see cref="Decode"/>: the row takes none and stays as it is.</summary>
    public const int NoToken = -1;

    private readonly SessionLimits limits;
    private readonly SharedGraph graph;
    private readonly SequenceRunner runner;
    private readonly SessionGate gate;

    /// <summary>Takes over the caller's hold of the runtime's graph.</summary>
    internal BambaSession(BambaRuntime runtime, SharedGraph graph, StateLayout layout, int contextLength)
    {
        Runtime = runtime;
        StateBytes = layout.TotalBytes;
        limits = new SessionLimits(layout.BatchSize, contextLength, runtime.Config.VocabSize);
        this.graph = graph;
        runner = new SequenceRunner(graph, runtime.Signature, layout, limits, runtime.PrefillChunk);
        gate = new SessionGate(runner.Terminate, Free);
        BambaTelemetry.SessionOpened(StateBytes);
    }

    /// <summary>The model. Its properties stay readable after it is disposed.</summary>
    public BambaRuntime Runtime { get; }

    /// <summary>Rows.</summary>
    public int BatchSize => limits.BatchSize;

    /// <summary>Most tokens of a row.</summary>
    public int ContextLength => limits.ContextLength;

    /// <summary>Bytes of the caches of all rows, as <see cref="BambaRuntime.StateBytes"/> foretells them.</summary>
    public long StateBytes { get; }

    /// <summary>The scores that the last call left; the same handle as the call returned.</summary>
    public Logits Logits => new(this, Version, limits.VocabSize);

    internal int Version { get; private set; }

    internal bool IsDisposed => gate.IsDisposed;

    /// <summary>Whether ONNX Runtime failed and left the caches of no use.</summary>
    internal bool IsDamaged => runner.IsDamaged;

    /// <summary>How a step of one token a row runs on a device; null on the processor, where there is but one way.</summary>
    internal string? StepMode => runner.StepMode;

    /// <summary>Time spent inside ONNX Runtime, in <see cref="Stopwatch"/> ticks.</summary>
    internal long RunTicks => runner.RunTicks;

    /// <summary>Tokens that a row has taken.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="row"/> is not a row of the session.</exception>
    public int Length(int row) => Tokens(row).Length;

    /// <summary>The tokens that a row has taken, prompt first. Valid until the session's next call.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="row"/> is not a row of the session.</exception>
    public ReadOnlySpan<int> Tokens(int row)
    {
        ObjectDisposedException.ThrowIf(gate.IsDisposed, this);
        limits.RequireRow(row);
        return runner.Tokens(row);
    }

    /// <summary>Feeds tokens to a session of one row.</summary>
    /// <inheritdoc cref="Prefill(IReadOnlyList{ReadOnlyMemory{int}}, CancellationToken)"/>
    /// <param name="tokens">At least one.</param>
    /// <param name="cancellationToken">Ends the work, soon even inside a chunk; the row then has the whole chunks that ran.</param>
    /// <returns>The scores of the next token.</returns>
    public Logits Prefill(ReadOnlyMemory<int> tokens, CancellationToken cancellationToken = default) =>
        Prefill([tokens], cancellationToken);

    /// <summary>Feeds each row its tokens, as many as it likes; prompts longer than a chunk go in several runs.</summary>
    /// <param name="rows">One list a row; a row with an empty list stays as it is, and one at least has a token.</param>
    /// <param name="cancellationToken">Ends the work, soon even inside a chunk; rows then have the whole chunks that ran.</param>
    /// <returns>The scores of the next token of each row that took one.</returns>
    /// <exception cref="ArgumentException">A row is missing, none has a token, or a token is outside the vocabulary.</exception>
    /// <exception cref="ContextLengthException">A row would grow past the context.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled; the session may go on.</exception>
    /// <exception cref="InvalidOperationException">Another thread is in a call, or ONNX Runtime failed in an earlier one.</exception>
    /// <exception cref="BambaException">ONNX Runtime failed; the session is of use again after Reset or Restore.</exception>
    public Logits Prefill(IReadOnlyList<ReadOnlyMemory<int>> rows, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(rows);
        using SessionGate.Call call = gate.Enter();
        RequireUndamaged();
        limits.RequireRows(rows.Count, nameof(rows));
        long count = 0;
        for (int row = 0; row < rows.Count; row++)
        {
            limits.RequireTokens(row, runner.Tokens(row).Length, rows[row].Span, nameof(rows));
            count += rows[row].Length;
        }
        RequireSomeToken(count, nameof(rows));

        using Activity? activity = BambaTelemetry.StartPrefill(BatchSize, count);
        long start = Stopwatch.GetTimestamp();
        Version++;
        try
        {
            runner.Prefill(rows, cancellationToken);
        }
        catch (BambaException) when (gate.IsDisposed)
        {
            throw new ObjectDisposedException(nameof(BambaSession));
        }
        BambaTelemetry.Prefilled(count, Stopwatch.GetElapsedTime(start));
        return Logits;
    }

    /// <summary>Feeds each row one token. It is one step, which runs to its end; cancellation belongs between steps.</summary>
    /// <param name="tokens">One token a row; <see cref="NoToken"/> leaves its row as it is, and one row at least takes a token.</param>
    /// <returns>The scores of the next token of each row that took one.</returns>
    /// <exception cref="ArgumentException">There are more or fewer tokens than rows, or one is outside the vocabulary.</exception>
    /// <exception cref="ContextLengthException">A row would grow past the context.</exception>
    /// <exception cref="InvalidOperationException">Another thread is in a call, or ONNX Runtime failed in an earlier one.</exception>
    /// <exception cref="BambaException">ONNX Runtime failed; the session is of use again after Reset or Restore.</exception>
    public Logits Decode(params ReadOnlySpan<int> tokens)
    {
        using SessionGate.Call call = gate.Enter();
        RequireUndamaged();
        limits.RequireRows(tokens.Length, nameof(tokens));
        int count = 0;
        for (int row = 0; row < tokens.Length; row++)
        {
            if (tokens[row] != NoToken)
            {
                limits.RequireTokens(row, runner.Tokens(row).Length, tokens.Slice(row, 1), nameof(tokens));
                count++;
            }
        }
        RequireSomeToken(count, nameof(tokens));

        long start = Stopwatch.GetTimestamp();
        Version++;
        try
        {
            runner.Decode(tokens);
        }
        catch (BambaException) when (gate.IsDisposed)
        {
            throw new ObjectDisposedException(nameof(BambaSession));
        }
        BambaTelemetry.Decoded(count, Stopwatch.GetElapsedTime(start));
        return Logits;
    }

    /// <summary>Forgets every row's tokens.</summary>
    /// <exception cref="InvalidOperationException">Another thread is in a call.</exception>
    public void Reset()
    {
        using SessionGate.Call call = gate.Enter();
        Version++;
        runner.Clear();
    }

    /// <summary>Copies what the session knows: every row's tokens, caches and scores.</summary>
    /// <exception cref="InvalidOperationException">Another thread is in a call, or ONNX Runtime failed in an earlier one.</exception>
    public BambaStateSnapshot Snapshot()
    {
        using SessionGate.Call call = gate.Enter();
        RequireUndamaged();
        return new BambaStateSnapshot(Runtime.SnapshotModel, [.. Enumerable.Range(0, BatchSize).Select(runner.Pack)]);
    }

    /// <summary>Makes each row what it was in a snapshot of as many rows.</summary>
    /// <returns>The scores that the snapshot's session had.</returns>
    /// <inheritdoc cref="Restore(BambaStateSnapshot, ReadOnlySpan{int})"/>
    public Logits Restore(BambaStateSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        return Restore(snapshot, [.. Enumerable.Range(0, snapshot.Rows)]);
    }

    /// <summary>Makes each row a copy of a snapshot's row: one prompt, prefilled once, for a whole batch.</summary>
    /// <param name="snapshot">A snapshot of the same model.</param>
    /// <param name="sourceRows">For each row of the session the snapshot's row.</param>
    /// <returns>The scores that those rows had.</returns>
    /// <exception cref="ArgumentException">A row is missing or does not exist, or the snapshot is of another model.</exception>
    /// <exception cref="ContextLengthException">A row is longer than this session has room for.</exception>
    /// <exception cref="InvalidOperationException">Another thread is in a call.</exception>
    public Logits Restore(BambaStateSnapshot snapshot, params ReadOnlySpan<int> sourceRows)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        using SessionGate.Call call = gate.Enter();
        Runtime.RequireOwn(snapshot);
        RowSnapshot[] rows = limits.RequireSource(snapshot, sourceRows, nameof(sourceRows));
        Version++;
        runner.Unpack(rows);
        return Logits;
    }

    /// <summary>Makes each row a copy of another of the session, as beam search does: rows may be dropped, kept and doubled.</summary>
    /// <param name="sourceRows">For each row the row that it becomes.</param>
    /// <returns>The scores, reordered alike.</returns>
    /// <exception cref="ArgumentException">A row is missing or does not exist.</exception>
    /// <exception cref="InvalidOperationException">Another thread is in a call, or ONNX Runtime failed in an earlier one.</exception>
    public Logits Reorder(params ReadOnlySpan<int> sourceRows)
    {
        using SessionGate.Call call = gate.Enter();
        RequireUndamaged();
        limits.RequireSourceRows(sourceRows, BatchSize, nameof(sourceRows));
        Version++;
        runner.Reorder(sourceRows);
        return Logits;
    }

    /// <summary>Opens a second session that goes on from where this one stands.</summary>
    /// <param name="contextLength">Tokens that the new session has room for; null for as many as this one.</param>
    /// <exception cref="ArgumentOutOfRangeException">The context is not positive or longer than the model's.</exception>
    /// <exception cref="ContextLengthException">A row is longer than the new context.</exception>
    /// <exception cref="InvalidOperationException">Another thread is in a call, or ONNX Runtime failed in an earlier one.</exception>
    /// <exception cref="ObjectDisposedException">The session or its runtime was disposed.</exception>
    public BambaSession Fork(int? contextLength = null)
    {
        using SessionGate.Call call = gate.Enter();
        RequireUndamaged();
        BambaSession fork = Runtime.CreateSession(BatchSize, contextLength ?? ContextLength);
        try
        {
            for (int row = 0; row < BatchSize; row++)
            {
                fork.limits.RequireRoom(runner.Tokens(row).Length);
            }
            fork.runner.CopyFrom(runner);
            fork.Version++;
            return fork;
        }
        catch
        {
            fork.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => gate.Dispose();

    /// <summary>
    /// Begins to choose tokens where the scores are, from those that the session has; null where that is the processor's work.
    /// Until what comes back is disposed, nothing else is asked of the session.
    /// </summary>
    internal SampledSteps? SampleWhereScoresAre(
        ReadOnlySpan<SamplingRow> options,
        ReadOnlySpan<int> ends,
        ReadOnlySpan<bool> resting
    )
    {
        using SessionGate.Call call = gate.Enter();
        RequireUndamaged();
        return runner.BeginSampling(options, ends, resting) ? new SampledSteps(this, runner, gate) : null;
    }

    /// <summary>Says that the scores that were handed out are no longer.</summary>
    internal void Overwrite() => Version++;

    internal ReadOnlySpan<float> LogitsOf(int row, int version)
    {
        ObjectDisposedException.ThrowIf(gate.IsDisposed, this);
        limits.RequireRow(row);
        if (version != Version)
        {
            throw new InvalidOperationException("these logits were overwritten by a later call of their session");
        }
        ReadOnlySpan<float> logits = runner.Logits(row);
        return logits.IsEmpty
            ? throw new InvalidOperationException($"row {row} has no logits: it took no token in the last call")
            : logits;
    }

    private void Free()
    {
        runner.Dispose();
        graph.Release();
        BambaTelemetry.SessionClosed(StateBytes);
    }

    private void RequireUndamaged()
    {
        if (runner.IsDamaged)
        {
            throw new InvalidOperationException(
                "ONNX Runtime failed in an earlier call and left the caches half-written: call Reset or Restore first"
            );
        }
    }

    private static void RequireSomeToken(long count, string parameter)
    {
        if (count == 0)
        {
            throw new ArgumentException("expected a token in one row at least, found none", parameter);
        }
    }
}
