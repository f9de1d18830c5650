using Bamba.Onnx.Hub.Transfer;

namespace Bamba.Onnx.Hub.Tests;

/// <summary>A clock whose pauses are over at once and remembered, while the wait for a silent connection lasts until a test ends it.</summary>
internal sealed class ImpatientTime : TimeProvider
{
    private readonly Lock change = new();
    private readonly List<Timer> silences = [];
    private readonly List<TimeSpan> pauses = [];

    public IReadOnlyList<TimeSpan> Pauses
    {
        get
        {
            lock (change)
            {
                return [.. pauses];
            }
        }
    }

    /// <summary>Ends the waits that are under way.</summary>
    /// <returns>Whether there was one.</returns>
    public bool EndSilence()
    {
        Timer[] waiting;
        lock (change)
        {
            waiting = [.. silences];
        }
        foreach (Timer timer in waiting)
        {
            timer.Fire();
        }
        return waiting.Length > 0;
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        lock (change)
        {
            if (dueTime == HubHttp.LongestSilence)
            {
                silences.Add(timer);
            }
            else if (dueTime != Timeout.InfiniteTimeSpan)
            {
                pauses.Add(dueTime);
                timer.Fire();
            }
        }
        return timer;
    }

    private sealed class Timer(ImpatientTime owner, TimerCallback callback, object? state) : ITimer
    {
        // Later, as a timer does: who makes one has not stored it yet.
        public void Fire() => ThreadPool.QueueUserWorkItem(_ => callback(state));

        public bool Change(TimeSpan dueTime, TimeSpan period) => true;

        public void Dispose()
        {
            lock (owner.change)
            {
                owner.silences.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
