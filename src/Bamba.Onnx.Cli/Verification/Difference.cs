namespace Bamba.Onnx.Cli.Verification;

/// <summary>Differences of float arrays, in which anything that is not a number counts as the worst.</summary>
internal static class Difference
{
    /// <summary>The largest absolute difference; NaN where sizes differ or a difference is not a number.</summary>
    public static double Max(ReadOnlySpan<float> wanted, ReadOnlySpan<float> found)
    {
        if (wanted.Length != found.Length)
        {
            return double.NaN;
        }
        double worst = 0;
        for (int i = 0; i < wanted.Length; i++)
        {
            worst = Larger(worst, Math.Abs((double)wanted[i] - found[i]));
        }
        return worst;
    }

    /// <summary>The larger of two; NaN where either is.</summary>
    public static double Larger(double a, double b) => double.IsNaN(a) || double.IsNaN(b) ? double.NaN : Math.Max(a, b);
}
