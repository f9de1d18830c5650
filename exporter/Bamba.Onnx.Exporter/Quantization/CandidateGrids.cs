using System.Runtime.Intrinsics;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// Grids that compete for a group, eight at a time in the lanes of vectors, so that no sum runs across a vector and results do
/// not depend on the machine.
/// </summary>
/// <param name="capacity">The most grids, a multiple of eight.</param>
/// <param name="largestCode">15 or 255.</param>
internal sealed class CandidateGrids(int capacity, int largestCode)
{
    /// <summary>Grids of a vector.</summary>
    public const int Lanes = 8;

    private readonly float[] scales = new float[capacity];
    private readonly float[] zeros = new float[capacity];
    private readonly float[] errors = new float[capacity];

    /// <summary>How many grids there are: a multiple of eight.</summary>
    public int Count { get; private set; }

    /// <summary>Removes all grids.</summary>
    public void Clear() => Count = 0;

    /// <summary>Adds eight grids, of positive scales.</summary>
    public void Add(Vector256<float> eightScales, Vector256<float> eightZeros)
    {
        eightScales.CopyTo(scales, Count);
        eightZeros.CopyTo(zeros, Count);
        Count += Lanes;
    }

    /// <summary>The grid of the least error.</summary>
    public (float Scale, float Zero) Best()
    {
        int best = 0;
        for (int i = 1; i < Count; i++)
        {
            if (errors[i] < errors[best])
            {
                best = i;
            }
        }
        return (scales[best], zeros[best]);
    }

    /// <summary>Leaves eight grids: of every lane the best, among them the best of all.</summary>
    public void KeepBestOfLanes()
    {
        Vector256<float> bestScales = Vector256.Create(scales);
        Vector256<float> bestZeros = Vector256.Create(zeros);
        Vector256<float> bestErrors = Vector256.Create(errors);
        for (int i = Lanes; i < Count; i += Lanes)
        {
            Vector256<float> error = Vector256.Create(errors, i);
            Vector256<float> isBetter = Vector256.LessThan(error, bestErrors);
            bestErrors = Vector256.ConditionalSelect(isBetter, error, bestErrors);
            bestScales = Vector256.ConditionalSelect(isBetter, Vector256.Create(scales, i), bestScales);
            bestZeros = Vector256.ConditionalSelect(isBetter, Vector256.Create(zeros, i), bestZeros);
        }
        bestErrors.CopyTo(errors);
        Clear();
        Add(bestScales, bestZeros);
    }

    /// <summary>Rounds all zero points to what is stored.</summary>
    public void RoundZeros(NearestGrid nearest)
    {
        for (int i = 0; i < Count; i++)
        {
            zeros[i] = nearest.RoundZero(zeros[i]);
        }
    }

    /// <summary>Measures every grid as it is.</summary>
    public void Measure(WeightGroup group)
    {
        for (int i = 0; i < Count; i += Lanes)
        {
            Sums sums = Sum(group, i);
            Vector256<float> scale = Vector256.Create(scales, i);
            (sums.SquaredRest * scale * scale).CopyTo(errors, i);
        }
    }

    /// <summary>Gives every grid the scale of least squares for the codes that weights have on it, and measures that.</summary>
    public void FitScales(WeightGroup group)
    {
        for (int i = 0; i < Count; i += Lanes)
        {
            Sums sums = Sum(group, i);
            Vector256<float> scale = Vector256.Create(scales, i);
            Vector256<float> slope = Quotient(sums.RestTimesStep, sums.SquaredStep);
            ((sums.SquaredRest - (sums.RestTimesStep * slope)) * scale * scale).CopyTo(errors, i);
            (scale + (scale * slope)).CopyTo(scales, i);
        }
    }

    /// <summary>
    /// Gives every grid the scale and the zero point of least squares for the codes that weights have on it, and measures that:
    /// a line through the points (step, weight).
    /// </summary>
    public void FitScalesAndZeros(WeightGroup group)
    {
        Vector256<float> inverseTotal = Vector256.Create(1 / group.TotalImportance);
        for (int i = 0; i < Count; i += Lanes)
        {
            Sums sums = Sum(group, i);
            Vector256<float> scale = Vector256.Create(scales, i);
            Vector256<float> meanStep = sums.Step * inverseTotal;
            Vector256<float> meanRest = sums.Rest * inverseTotal;
            Vector256<float> covariance = sums.RestTimesStep - (sums.Rest * meanStep);
            Vector256<float> slope = Quotient(covariance, sums.SquaredStep - (sums.Step * meanStep));
            Vector256<float> error = sums.SquaredRest - (sums.Rest * meanRest) - (covariance * slope);
            (error * scale * scale).CopyTo(errors, i);
            (scale + (scale * slope)).CopyTo(scales, i);
            Vector256<float> shift = meanRest - (meanStep * slope);
            (Vector256.Create(zeros, i) - (shift / (Vector256<float>.One + slope))).CopyTo(zeros, i);
        }
    }

    // Zero where there is nothing to divide by: all weights have the code that stands for zero, or all have the same code.
    private static Vector256<float> Quotient(Vector256<float> dividend, Vector256<float> divisor) =>
        Vector256.ConditionalSelect(
            Vector256.GreaterThan(divisor, Vector256<float>.Zero),
            dividend / divisor,
            Vector256<float>.Zero
        );

    private Sums Sum(WeightGroup group, int index)
    {
        Vector256<float> inverseScale = Vector256<float>.One / Vector256.Create(scales, index);
        Vector256<float> zero = Vector256.Create(zeros, index);
        Vector256<float> largest = Vector256.Create((float)largestCode);
        ReadOnlySpan<float> values = group.Values[..group.Count];
        ReadOnlySpan<float> importance = group.Importance[..values.Length];
        Sums sums = default;
        for (int i = 0; i < values.Length; i++)
        {
            Vector256<float> weight = Vector256.Create(importance[i]);
            Vector256<float> at = Vector256.FusedMultiplyAdd(Vector256.Create(values[i]), inverseScale, zero);
            Vector256<float> code = Vector256.MinNative(
                Vector256.MaxNative(Vector256.Round(at), Vector256<float>.Zero),
                largest
            );
            Vector256<float> rest = at - code;
            Vector256<float> step = code - zero;
            Vector256<float> weighedRest = weight * rest;
            Vector256<float> weighedStep = weight * step;
            sums.Rest += weighedRest;
            sums.Step += weighedStep;
            sums.SquaredRest = Vector256.FusedMultiplyAdd(weighedRest, rest, sums.SquaredRest);
            sums.RestTimesStep = Vector256.FusedMultiplyAdd(weighedRest, step, sums.RestTimesStep);
            sums.SquaredStep = Vector256.FusedMultiplyAdd(weighedStep, step, sums.SquaredStep);
        }
        return sums;
    }

    /// <summary>
    /// Sums over a group, by importance, of two numbers a weight: its step, code − zero point, and the rest that is lost, both
    /// in units of the scale.
    /// </summary>
    private struct Sums
    {
        public Vector256<float> Rest;
        public Vector256<float> Step;
        public Vector256<float> SquaredRest;
        public Vector256<float> RestTimesStep;
        public Vector256<float> SquaredStep;
    }
}
