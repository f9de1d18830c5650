using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Bamba.Onnx.Sampling;

/// <summary>
/// Tokens' probabilities up to a common factor: <c>exp((score - highest) / temperature)</c> in float64, 1 for the likeliest. Only
/// additions, multiplications and divisions in a fixed order lead there, none of them fused, so that one score has the same weight on
/// every machine, whatever its vectors and its C library are.
/// </summary>
/// <remarks>An exponent below -708, where float64 runs out of normal numbers, has weight 0; so has NaN.</remarks>
/// <param name="highest">The highest score. Where it is infinite it weighs 1 and every finite one 0.</param>
/// <param name="temperature">Above 0.</param>
internal readonly struct SoftmaxWeights(float highest, double temperature)
{
    private const int Width = 8;
    private const double LowestExponent = -708;

    // Adding and subtracting it rounds to an integer, which the low bits of the sum then hold.
    private const double Rounder = 6755399441055744.0;
    private const int MantissaBits = 52;

    private const double Log2E = 1.4426950408889634;

    // ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
    private const double Ln2High = 0.693147180369123816490;
    private const double Ln2Low = 1.90821492927058770002e-10;

    /// <summary>The score from which on a token has at least this weight, up to rounding.</summary>
    public double ScoreOf(double weight) =>
        float.IsInfinity(highest) ? highest : highest + (temperature * Math.Log(weight));

    /// <summary>The sum of the weights: eight running sums, for the tokens at 8n, 8n + 1, …, added in order at the end.</summary>
    public double Sum(ReadOnlySpan<float> scores)
    {
        Vector256<double> lower = Vector256<double>.Zero;
        Vector256<double> upper = Vector256<double>.Zero;
        int i = 0;
        for (; i <= scores.Length - Width; i += Width)
        {
            Add(Load(scores, i), ref lower, ref upper);
        }
        if (i < scores.Length)
        {
            Add(LoadLast(scores[i..]), ref lower, ref upper);
        }
        double sum = 0;
        for (int lane = 0; lane < Width; lane++)
        {
            sum += lane < Width / 2 ? lower[lane] : upper[lane - (Width / 2)];
        }
        return sum;
    }

    /// <summary>The weight of each score.</summary>
    /// <param name="scores">Scores.</param>
    /// <param name="weights">Gets the weights.</param>
    /// <param name="exponents">Gets what they are the exponentials of, (score - highest) / temperature; empty where that is not wanted.</param>
    public void Weigh(ReadOnlySpan<float> scores, Span<double> weights, Span<double> exponents = default)
    {
        int i = 0;
        for (; i <= scores.Length - Width; i += Width)
        {
            Weigh(Load(scores, i), weights.Slice(i, Width), exponents.IsEmpty ? default : exponents.Slice(i, Width));
        }
        if (i == scores.Length)
        {
            return;
        }
        Span<double> lastWeights = stackalloc double[Width];
        Span<double> lastExponents = stackalloc double[Width];
        Weigh(LoadLast(scores[i..]), lastWeights, lastExponents);
        lastWeights[..(scores.Length - i)].CopyTo(weights[i..]);
        if (!exponents.IsEmpty)
        {
            lastExponents[..(scores.Length - i)].CopyTo(exponents[i..]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Add(Vector256<float> scores, ref Vector256<double> lower, ref Vector256<double> upper)
    {
        (Vector256<double> low, Vector256<double> high) = Vector256.Widen(scores);
        lower += WeightOf(ExponentOf(low));
        upper += WeightOf(ExponentOf(high));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Weigh(Vector256<float> scores, Span<double> weights, Span<double> exponents)
    {
        (Vector256<double> low, Vector256<double> high) = Vector256.Widen(scores);
        (low, high) = (ExponentOf(low), ExponentOf(high));
        if (!exponents.IsEmpty)
        {
            low.CopyTo(exponents);
            high.CopyTo(exponents[(Width / 2)..]);
        }
        WeightOf(low).CopyTo(weights);
        WeightOf(high).CopyTo(weights[(Width / 2)..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Load(ReadOnlySpan<float> scores, int start) =>
        Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(scores), (nuint)start);

    /// <summary>Fewer than eight scores, then negative infinity, so that they take the same way as all others.</summary>
    private static Vector256<float> LoadLast(ReadOnlySpan<float> scores)
    {
        Span<float> padded = stackalloc float[Width];
        padded.Fill(float.NegativeInfinity);
        scores.CopyTo(padded);
        return Vector256.Create<float>(padded);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector256<double> ExponentOf(Vector256<double> scores)
    {
        var highestLanes = Vector256.Create((double)highest);
        // The highest itself has exponent 0 even where it is infinite and the difference is none.
        Vector256<double> difference = Vector256.ConditionalSelect(
            Vector256.Equals(scores, highestLanes),
            Vector256<double>.Zero,
            scores - highestLanes
        );
        return difference / Vector256.Create(temperature);
    }

    /// <summary>
    /// The exponential of numbers up to 0: x = k ln 2 + r with |r| at most ln(2) / 2, then 2^k times the Taylor polynomial of r of
    /// degree 13, whose error is below 1e-17.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> WeightOf(Vector256<double> exponents)
    {
        Vector256<double> inRange = Vector256.GreaterThanOrEqual(exponents, Vector256.Create(LowestExponent));
        Vector256<double> x = exponents & inRange;
        Vector256<double> rounded = (x * Vector256.Create(Log2E)) + Vector256.Create(Rounder);
        Vector256<double> k = rounded - Vector256.Create(Rounder);
        Vector256<double> r = x - (k * Vector256.Create(Ln2High)) - (k * Vector256.Create(Ln2Low));
        // The even and the odd powers apart: two chains of operations that need not wait for each other.
        Vector256<double> square = r * r;
        Vector256<double> even = Vector256.Create(1.0 / 479001600);
        even = (even * square) + Vector256.Create(1.0 / 3628800);
        even = (even * square) + Vector256.Create(1.0 / 40320);
        even = (even * square) + Vector256.Create(1.0 / 720);
        even = (even * square) + Vector256.Create(1.0 / 24);
        even = (even * square) + Vector256.Create(1.0 / 2);
        even = (even * square) + Vector256<double>.One;
        Vector256<double> odd = Vector256.Create(1.0 / 6227020800);
        odd = (odd * square) + Vector256.Create(1.0 / 39916800);
        odd = (odd * square) + Vector256.Create(1.0 / 362880);
        odd = (odd * square) + Vector256.Create(1.0 / 5040);
        odd = (odd * square) + Vector256.Create(1.0 / 120);
        odd = (odd * square) + Vector256.Create(1.0 / 6);
        odd = (odd * square) + Vector256<double>.One;
        Vector256<long> power = (rounded.AsInt64() << MantissaBits) + Vector256<double>.One.AsInt64();
        return ((odd * r) + even) * power.AsDouble() & inRange;
    }
}
