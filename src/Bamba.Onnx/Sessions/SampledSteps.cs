using System.Diagnostics;
using Bamba.Onnx.Diagnostics;

namespace Bamba.Onnx.Sessions;

/// <summary>Steps of a session whose tokens are chosen where the scores are. Disposing it ends them; the session then goes on as usual.</summary>
internal sealed class SampledSteps : IDisposable
{
    private readonly BambaSession session;
    private readonly SequenceRunner runner;
    private readonly SessionGate gate;
    private readonly List<int>[] chosen;
    private readonly int[] next;
    private readonly bool[] resting;

    public SampledSteps(BambaSession session, SequenceRunner runner, SessionGate gate)
    {
        this.session = session;
        this.runner = runner;
        this.gate = gate;
        chosen = [.. Enumerable.Range(0, session.BatchSize).Select(_ => new List<int>())];
        next = new int[session.BatchSize];
        resting = new bool[session.BatchSize];
    }

    /// <summary>The next token of each row; <see cref="BambaSession.NoToken"/> of one that has ended. Valid until the next call.</summary>
    /// <param name="ahead">Steps to have on their way beyond this one: 0 or 1.</param>
    public ReadOnlySpan<int> Next(int ahead)
    {
        using SessionGate.Call call = gate.Enter();
        session.Overwrite();
        long start = Stopwatch.GetTimestamp();
        runner.Sample(next, ahead);
        int count = 0;
        for (int row = 0; row < next.Length; row++)
        {
            if (next[row] != BambaSession.NoToken)
            {
                chosen[row].Add(next[row]);
                count++;
            }
        }
        BambaTelemetry.Decoded(count, Stopwatch.GetElapsedTime(start));
        return next;
    }

    /// <summary>Lets a row take no more tokens: what it was given last is not fed, unless a step ahead did so.</summary>
    public void Rest(int row)
    {
        if (!resting[row])
        {
            using SessionGate.Call call = gate.Enter();
            runner.Rest(row);
            resting[row] = true;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (session.IsDisposed || session.IsDamaged)
        {
            return;
        }
        using SessionGate.Call call = gate.Enter();
        runner.EndSampling(chosen);
    }
}
