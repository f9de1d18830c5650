using System.Diagnostics;

namespace Bamba.Onnx.Benchmarks;

/// <summary>Times of several things, taken in turn so that all see the same machine.</summary>
internal static class Turns
{
    /// <summary>Median milliseconds of each action.</summary>
    /// <param name="runs">Runs that are timed.</param>
    /// <param name="warmUps">Runs before those.</param>
    /// <param name="pause">Milliseconds before each action.</param>
    /// <param name="actions">What is timed; each hears which of its runs it is, from 0.</param>
    public static double[] Medians(int runs, int warmUps, int pause, params Action<int>[] actions)
    {
        List<double>[] times = [.. actions.Select(_ => new List<double>())];
        for (int run = 0; run < warmUps + runs; run++)
        {
            for (int i = 0; i < actions.Length; i++)
            {
                // The threads of the session before wait busily for a while, and must not be in the way.
                Thread.Sleep(pause);
                long start = Stopwatch.GetTimestamp();
                actions[i](run);
                if (run >= warmUps)
                {
                    times[i].Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                }
            }
        }
        return
        [
            .. times.Select(list =>
            {
                list.Sort();
                return list[list.Count / 2];
            }),
        ];
    }
}
