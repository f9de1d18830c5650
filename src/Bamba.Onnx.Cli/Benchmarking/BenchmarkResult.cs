using System.Collections.Immutable;

namespace Bamba.Onnx.Cli.Benchmarking;

/// <summary>What a test took.</summary>
internal sealed record BenchmarkResult
{
    public BenchmarkResult(BenchmarkTest test, ImmutableArray<long> nanoseconds, long sessionStateBytes)
    {
        Test = test;
        Nanoseconds = nanoseconds;
        SessionStateBytes = sessionStateBytes;
        double tokens = (double)test.Tokens * test.Batch;
        TokensPerSecond = [.. nanoseconds.Select(time => tokens / (time / 1e9))];
    }

    public BenchmarkTest Test { get; }

    /// <summary>The time of each repetition.</summary>
    public ImmutableArray<long> Nanoseconds { get; }

    /// <summary>The speed of each repetition, tokens of all rows counted.</summary>
    public ImmutableArray<double> TokensPerSecond { get; }

    /// <summary>How a step ran on a device; null on the processor, and where no step was measured.</summary>
    public string? StepMode { get; init; }

    /// <summary>Bytes of the caches of all rows, with room for exactly the test's tokens.</summary>
    public long SessionStateBytes { get; }

    /// <summary>The share of a device's copy speed that the median repetition of a decode test reached; null where there is none.</summary>
    public double? BandwidthShare(BenchmarkedModel model)
    {
        if (Test.Kind != BenchmarkKind.Decode || model.CopySpeed is not { } speed)
        {
            return null;
        }
        long median = Nanoseconds.Sort()[Nanoseconds.Length / 2];
        return model.StepBytes(Test) * Test.Tokens / (median / 1e9) / speed;
    }

    public double MeanNanoseconds => Mean(Nanoseconds.Select(time => (double)time));

    public double NanosecondsDeviation => Deviation([.. Nanoseconds.Select(time => (double)time)]);

    public double MeanTokensPerSecond => Mean(TokensPerSecond);

    public double TokensPerSecondDeviation => Deviation(TokensPerSecond);

    private static double Mean(IEnumerable<double> samples) => samples.Average();

    /// <summary>The standard deviation of a sample (n − 1); one repetition says nothing of spread and counts as 0.</summary>
    private static double Deviation(ImmutableArray<double> samples)
    {
        if (samples.Length < 2)
        {
            return 0;
        }
        double mean = Mean(samples);
        return Math.Sqrt(samples.Sum(sample => (sample - mean) * (sample - mean)) / (samples.Length - 1));
    }
}
