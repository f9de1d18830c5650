using System.Collections.Concurrent;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.SessionStress;

/// <summary>
/// Opens sessions from several threads, uses them, cancels at random points, and disposes them in random order, some while a
/// call runs.
/// </summary>
internal sealed class RandomUse(BambaRuntime runtime)
{
    private const int Threads = 4;
    private const int MostLeft = 16;

    private static readonly int[] Prompt = [.. Enumerable.Range(100, 70)];

    private readonly ConcurrentBag<BambaSession> left = [];

    public void Run(int count, int seed)
    {
        Thread[] threads =
        [
            .. Enumerable
                .Range(0, Threads)
                .Select(thread => new Thread(() =>
                {
                    var random = new Random((seed * Threads) + thread);
                    for (int i = 0; i < count / Threads; i++)
                    {
                        UseSession(random);
                    }
                })),
        ];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        while (left.TryTake(out BambaSession? session))
        {
            session.Dispose();
        }
    }

    private void UseSession(Random random)
    {
        BambaSession session = runtime.CreateSession(random.Next(1, 4), random.Next(80, 400));
        using var cancellation = new CancellationTokenSource();
        var greedy = new TokenSampler(SamplingOptions.Greedy);
        try
        {
            if (random.Next(2) == 0)
            {
                cancellation.CancelAfter(TimeSpan.FromMilliseconds(random.Next(20)));
            }
            ReadOnlyMemory<int>[] prompts =
            [
                .. Enumerable.Range(0, session.BatchSize).Select(_ => Prompt.AsMemory(0, random.Next(1, 70))),
            ];
            Logits logits = session.Prefill(prompts, cancellation.Token);
            int[] next = new int[session.BatchSize];
            for (int step = 0; step < random.Next(8); step++)
            {
                cancellation.Token.ThrowIfCancellationRequested();
                for (int row = 0; row < next.Length; row++)
                {
                    next[row] = greedy.Sample(logits.Row(row), 0);
                }
                logits = session.Decode(next);
            }
            if (random.Next(4) == 0)
            {
                using BambaSession fork = session.Fork();
                fork.Decode(next);
            }
        }
        catch (OperationCanceledException) { }
        DisposeSome(session, random);
    }

    /// <summary>This session now, or later with others, or one that another thread left, while a call of it may run.</summary>
    private void DisposeSome(BambaSession session, Random random)
    {
        switch (random.Next(3))
        {
            case 0:
                session.Dispose();
                break;
            case 1:
                left.Add(session);
                if (left.Count > MostLeft && left.TryTake(out BambaSession? other))
                {
                    other.Dispose();
                }
                break;
            default:
                Task running = Task.Run(() => session.Prefill([.. Prompts(session)]));
                session.Dispose();
                try
                {
                    running.GetAwaiter().GetResult();
                }
                catch (ObjectDisposedException)
                {
                    // It came before the call's end, as it mostly does.
                }
                break;
        }
    }

    private static IEnumerable<ReadOnlyMemory<int>> Prompts(BambaSession session) =>
        Enumerable.Repeat((ReadOnlyMemory<int>)new[] { 1, 2, 3 }, session.BatchSize);
}
