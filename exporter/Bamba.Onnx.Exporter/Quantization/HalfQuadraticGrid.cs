using System.Runtime.Intrinsics;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// The grid of <see cref="QuantizationMethod.Hqq"/>: Badri and Shaji's half-quadratic quantization of large machine learning models
/// (Mobius Labs, 2023). The scale is that of the extremes. The zero point lowers the sum of |w − ŵ|ᵖ, p below 1, which large errors of
/// a few weights do not decide: errors are split into a part that is taken as given, found by shrinking (their equation 6), and
/// a part that the zero point closes by least squares (equation 8), with a penalty β that grows.
/// </summary>
internal sealed class HalfQuadraticGrid(NearestGrid nearest)
{
    private const int Rounds = 20;
    private const float FirstPenalty = 10;
    private const float PenaltyGrowth = 1.01f;

    /// <summary>The grid of a group.</summary>
    /// <exception cref="UnquantizableException">The scale is too large for its type.</exception>
    public CodeGrid Of(WeightGroup group, int column)
    {
        CodeGrid start = nearest.Of(group, column);
        if (group.Least == group.Greatest)
        {
            return start;
        }
        float zero = start.Zero;
        float best = zero;
        float leastError = float.PositiveInfinity;
        float penalty = FirstPenalty;
        for (int round = 0; round < Rounds; round++)
        {
            float error = Improve(group, start.Scale, penalty, zero, out float improved);
            if (error >= leastError)
            {
                break;
            }
            (leastError, best, zero) = (error, zero, improved);
            penalty *= PenaltyGrowth;
        }
        return start with { Zero = nearest.StoredZero(best) };
    }

    /// <summary>The sum of magnitudes of errors with a zero point, and the zero point of the next round.</summary>
    private float Improve(WeightGroup group, float scale, float penalty, float zero, out float improved)
    {
        Vector256<float> inverseScale = Vector256.Create(1 / scale);
        Vector256<float> zeros = Vector256.Create(zero);
        Vector256<float> errors = default;
        Vector256<float> sum = default;
        // The penalties are for weights as they are, not divided.
        float unit = (float)WeightGroup.PowerOfTwo(group.Exponent);
        for (int i = 0; i < group.Values.Length; i += Vector256<float>.Count)
        {
            Vector256<float> values = Vector256.Create(group.Values[i..]);
            Vector256<float> counts = Vector256.Min(
                Vector256<float>.One,
                Vector256.Max(
                    Vector256<float>.Zero,
                    Vector256.Create((float)(group.Count - i)) - Vector256<float>.Indices
                )
            );
            Vector256<float> code = nearest.ToCodes(Vector256.FusedMultiplyAdd(values, inverseScale, zeros));
            Vector256<float> rest = values - ((code - zeros) * scale);
            errors += Vector256.Abs(rest) * counts;
            Vector256<float> given = Shrink(rest * unit, penalty) / unit;
            sum += (code - ((values - given) * inverseScale)) * counts;
        }
        improved = SumOfLanes(sum) / group.Count;
        return SumOfLanes(errors);
    }

    // |x|^(p − 1) of p = 0.6875, their 0.7 in square roots, which are the same on every machine.
    private static Vector256<float> Shrink(Vector256<float> values, float penalty)
    {
        Vector256<float> magnitude = Vector256.Abs(values);
        Vector256<float> fourthRoot = Vector256.Sqrt(Vector256.Sqrt(magnitude));
        Vector256<float> power = Vector256<float>.One / (fourthRoot * Vector256.Sqrt(Vector256.Sqrt(fourthRoot)));
        Vector256<float> shrunk = Vector256.Max(magnitude - (power / penalty), Vector256<float>.Zero);
        return Vector256.CopySign(shrunk, values);
    }

    private static float SumOfLanes(Vector256<float> values)
    {
        float sum = 0;
        for (int i = 0; i < Vector256<float>.Count; i++)
        {
            sum += values[i];
        }
        return sum;
    }
}
