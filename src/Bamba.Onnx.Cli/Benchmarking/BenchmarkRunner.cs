using System.Collections.Immutable;
using System.Diagnostics;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli.Benchmarking;

/// <summary>
/// Runs tests with the clock on the model alone: tokens are drawn beforehand from a fixed seed, nothing is sampled, and the
/// depth of a test is filled before its clock starts.
/// </summary>
/// <param name="runtime">The model.</param>
/// <param name="repetitions">Times that each test is measured, after one that is not.</param>
/// <param name="report">Told what is about to run.</param>
internal sealed class BenchmarkRunner(BambaRuntime runtime, int repetitions, Action<string> report)
{
    // What is fed changes no step's work; that it is the same each time makes runs comparable to the bit.
    private const int TokenSeed = 42;

    /// <summary>Measures one test.</summary>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public BenchmarkResult Run(BenchmarkTest test, CancellationToken cancellationToken)
    {
        using BambaSession session = runtime.CreateSession(test.Batch, checked((int)test.LastLength));
        var input = new TestInput(test, runtime.Config.VocabSize, new Random(TokenSeed));
        report($"{test.Name}: warm-up");
        Measure(session, input, cancellationToken);
        var times = ImmutableArray.CreateBuilder<long>(repetitions);
        for (int i = 1; i <= repetitions; i++)
        {
            report($"{test.Name}: repetition {i} of {repetitions}");
            times.Add(Measure(session, input, cancellationToken));
        }
        return new BenchmarkResult(test, times.MoveToImmutable(), session.StateBytes)
        {
            StepMode = test.Kind == BenchmarkKind.Decode ? session.StepMode : null,
        };
    }

    /// <summary>Nanoseconds of the test's own tokens, on a session that is brought to its depth first.</summary>
    private static long Measure(BambaSession session, TestInput input, CancellationToken cancellationToken)
    {
        session.Reset();
        if (input.Past is { } past)
        {
            session.Prefill(past, cancellationToken);
        }
        long start = Stopwatch.GetTimestamp();
        if (input.Prompts is { } prompts)
        {
            session.Prefill(prompts, cancellationToken);
        }
        foreach (int[] step in input.Steps)
        {
            cancellationToken.ThrowIfCancellationRequested();
            session.Decode(step);
        }
        // A call returns when its logits are there, on the processor or the device, so that the clock stops at the end of the work.
        return (long)Stopwatch.GetElapsedTime(start).TotalNanoseconds;
    }

    /// <summary>The tokens of a test.</summary>
    private sealed class TestInput
    {
        public TestInput(BenchmarkTest test, int vocabSize, Random random)
        {
            Past = test.Depth > 0 ? Rows(test.Depth) : null;
            Prompts = test.Kind == BenchmarkKind.Prefill ? Rows(test.Tokens) : null;
            Steps = test.Kind == BenchmarkKind.Decode ? Draw(test.Tokens, test.Batch) : [];

            ReadOnlyMemory<int>[] Rows(int length) =>
                [.. Draw(test.Batch, length).Select(row => new ReadOnlyMemory<int>(row))];

            int[][] Draw(int count, int length) =>
                [
                    .. Enumerable
                        .Range(0, count)
                        .Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(vocabSize)).ToArray()),
                ];
        }

        /// <summary>What each row takes before the clock starts; null at depth 0.</summary>
        public ReadOnlyMemory<int>[]? Past { get; }

        /// <summary>What each row takes at once; null where decode is measured.</summary>
        public ReadOnlyMemory<int>[]? Prompts { get; }

        /// <summary>A token a row for each step; none where prefill is measured.</summary>
        public int[][] Steps { get; }
    }
}
