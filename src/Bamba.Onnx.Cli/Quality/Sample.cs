namespace Bamba.Onnx.Cli.Quality;

/// <summary>Statistics of a sample of numbers.</summary>
internal sealed class Sample
{
    private readonly double[] sorted;

    /// <param name="values">The numbers, one at least, in any order.</param>
    public Sample(IEnumerable<double> values)
    {
        sorted = [.. values.Order()];
        Mean = sorted.Average();
    }

    public double Mean { get; }

    public double Max => sorted[^1];

    /// <summary>The standard error of the mean (n − 1), as of independent numbers; one number says nothing of it and has 0.</summary>
    public double StandardError =>
        sorted.Length < 2
            ? 0
            : Math.Sqrt(sorted.Sum(value => (value - Mean) * (value - Mean)) / (sorted.Length - 1) / sorted.Length);

    /// <summary>The least number that a share of all, above 0 and at most 1, does not exceed.</summary>
    public double Quantile(double share) => sorted[(int)Math.Ceiling(share * sorted.Length) - 1];
}
