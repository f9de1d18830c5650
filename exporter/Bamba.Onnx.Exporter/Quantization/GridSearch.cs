using System.Runtime.Intrinsics;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// The grid of <see cref="QuantizationMethod.Search"/> and <see cref="QuantizationMethod.Activation"/>: from many clipped ranges,
/// codes and grid are fitted to each other in turns, each time with less squared error. That is the iteration of Lloyd ("Least
/// squares quantization in PCM", IEEE Transactions on Information Theory 28, 1982) held to evenly spaced values. Then the best
/// grid is rounded to what is stored, and compared with its neighbours among numbers of the scales' type.
/// </summary>
internal sealed class GridSearch
{
    private const int RoundsOfBest = 3;

    // Below what any weights but those of a single value need.
    private const float LeastScale = 1e-7f;

    // Without scales' own rounding, how finely neighbours are spaced.
    private const float LeastNeighbourStep = 1f / (1 << 11);

    private readonly ElementType scaleType;
    private readonly NearestGrid nearest;
    private readonly CandidateGrids candidates;
    private readonly ZeroPoints zeroPoints;
    private readonly int largestCode;
    private readonly int middleCode;

    // What the scale of the extremes is multiplied by, where zero has its place.
    private readonly Vector256<float>[] stretches;

    // What is cut from one end of the range, as a part of it; negative where the range is extended.
    private readonly Vector256<float> cuts;

    // From four steps below to three above.
    private readonly Vector256<float> neighbours;

    public GridSearch(WeightQuantization format, ElementType scaleType, NearestGrid nearest)
    {
        this.scaleType = scaleType;
        this.nearest = nearest;
        (zeroPoints, largestCode, middleCode) = (format.ZeroPoints, format.LargestCode, format.MiddleCode);
        candidates = new CandidateGrids(CandidateGrids.Lanes * CandidateGrids.Lanes, largestCode);
        // Chosen by the error that is left of normal weights: with 8 bits there is nothing to gain from clipping, only from
        // trying many scales.
        cuts = format.Bits == 4 ? Evenly(-0.1f, 0.2f) : Evenly(-0.012f, 0.008f);
        stretches =
            format.Bits == 4
                ? [Evenly(0.5f, 0.83f), Evenly(0.87f, 1.2f)]
                : [Evenly(0.985f, 1.002f), Evenly(1.003f, 1.02f)];
        float step = Math.Max(ScaleRounding.UlpOfOne(scaleType), LeastNeighbourStep);
        neighbours = Vector256<float>.One + (step * (Vector256<float>.Indices - Vector256.Create(4f)));
    }

    /// <summary>The best grid found for a group that is not all zeros.</summary>
    public CodeGrid Of(WeightGroup group)
    {
        candidates.Clear();
        if (zeroPoints == ZeroPoints.None)
        {
            StartAroundZero(group);
        }
        else
        {
            StartFromRanges(group);
        }
        Fit(group);
        candidates.KeepBestOfLanes();
        for (int round = 0; round < RoundsOfBest; round++)
        {
            Fit(group);
        }
        if (zeroPoints == ZeroPoints.Float)
        {
            candidates.RoundZeros(nearest);
            candidates.FitScales(group);
        }
        (float scale, float zero) = BestOfStoredScales(group);
        return new CodeGrid(scale, zero, zeroPoints == ZeroPoints.None && zero != middleCode);
    }

    private static Vector256<float> Evenly(float from, float to) =>
        Vector256.Create(from) + ((to - from) / (CandidateGrids.Lanes - 1) * Vector256<float>.Indices);

    private void StartAroundZero(WeightGroup group)
    {
        float scale = group.Magnitude / middleCode;
        foreach (Vector256<float> stretch in stretches)
        {
            candidates.Add(scale * stretch, Vector256.Create((float)middleCode));
            candidates.Add(scale * stretch, Vector256.Create(middleCode - 1f));
        }
    }

    private void StartFromRanges(WeightGroup group)
    {
        bool isFloat = zeroPoints == ZeroPoints.Float;
        float least = isFloat ? group.Least : Math.Min(group.Least, 0);
        float range = (isFloat ? group.Greatest : Math.Max(group.Greatest, 0)) - least;
        Vector256<float> from = Vector256.Create(least) + (range * cuts);
        for (int i = 0; i < CandidateGrids.Lanes; i++)
        {
            Vector256<float> width = range * (Vector256.Create(1 - cuts[i]) - cuts);
            Vector256<float> scale = Vector256.Max(width / largestCode, Vector256.Create(LeastScale));
            Vector256<float> zero = -from / scale;
            candidates.Add(scale, isFloat ? zero : nearest.ToCodes(zero));
        }
    }

    private void Fit(WeightGroup group)
    {
        if (zeroPoints == ZeroPoints.Float)
        {
            candidates.FitScalesAndZeros(group);
        }
        else
        {
            candidates.FitScales(group);
        }
    }

    private (float Scale, float Zero) BestOfStoredScales(WeightGroup group)
    {
        (float scale, float zero) = candidates.Best();
        var rounding = new ScaleRounding(scaleType, group.Exponent);
        candidates.Clear();
        candidates.Add(rounding.Round(scale * neighbours), Vector256.Create(zero));
        candidates.Measure(group);
        return candidates.Best();
    }
}
