namespace Bamba.Onnx.Sampling;

/// <summary>
/// Finds how many tokens, nearest first, it takes for a sum of weights, without sorting all: a histogram of the distances tells the
/// narrow band in which the sum is reached, and only that is sorted.
/// </summary>
internal sealed class MassSelection
{
    private const int Buckets = 2048;

    // So few are sorted faster than counted.
    private const int FewEnoughToSort = 128;

    private readonly double[] masses = new double[Buckets];
    private readonly ScratchArray<Ranked> bands = new();

    /// <summary>Where the sum reaches the target, with the order by distance, of equal ones by score, highest first, then by position.</summary>
    /// <param name="distances">Not negative, [n].</param>
    /// <param name="scores">What orders equal distances, [n].</param>
    /// <param name="weights">Weights, [n].</param>
    /// <param name="target">The sum to reach.</param>
    /// <returns>The position of the token with which the sum first is at least the target; the last in order where rounding keeps it below.</returns>
    public int Find(
        ReadOnlySpan<double> distances,
        ReadOnlySpan<float> scores,
        ReadOnlySpan<double> weights,
        double target
    )
    {
        double scale = ScaleFor(distances);
        (int bucket, double sum) = FindBucket(distances, weights, target, scale);
        Span<Ranked> band = bands.First(distances.Length);
        int count = 0;
        for (int i = 0; i < distances.Length; i++)
        {
            if (BucketOf(distances[i], scale) == bucket)
            {
                band[count++] = new Ranked(distances[i], scores[i], i);
            }
        }
        band = band[..count];
        band.Sort();
        foreach (Ranked token in band)
        {
            sum += weights[token.Position];
            if (sum >= target)
            {
                return token.Position;
            }
        }
        return band[^1].Position;
    }

    /// <summary>Buckets to a unit of distance; 0, and so one bucket for all, where counting is not worth it.</summary>
    private static double ScaleFor(ReadOnlySpan<double> distances)
    {
        double farthest = 0;
        foreach (double distance in distances)
        {
            farthest = Math.Max(farthest, distance);
        }
        return distances.Length <= FewEnoughToSort || farthest == 0
            ? 0
            : Math.Min((Buckets - 1) / farthest, double.MaxValue);
    }

    /// <summary>The bucket in which the sum reaches the target, and the sum of all before it.</summary>
    private (int Bucket, double Before) FindBucket(
        ReadOnlySpan<double> distances,
        ReadOnlySpan<double> weights,
        double target,
        double scale
    )
    {
        masses.AsSpan().Clear();
        int last = 0;
        for (int i = 0; i < distances.Length; i++)
        {
            int bucket = BucketOf(distances[i], scale);
            masses[bucket] += weights[i];
            last = Math.Max(last, bucket);
        }
        double before = 0;
        int found = 0;
        while (found < last && before + masses[found] < target)
        {
            before += masses[found++];
        }
        return (found, before);
    }

    private static int BucketOf(double distance, double scale) => (int)(distance * scale);

    private readonly record struct Ranked(double Distance, float Score, int Position) : IComparable<Ranked>
    {
        public int CompareTo(Ranked other)
        {
            if (Distance != other.Distance)
            {
                return Distance < other.Distance ? -1 : 1;
            }
            if (Score != other.Score)
            {
                return Score > other.Score ? -1 : 1;
            }
            return Position - other.Position;
        }
    }
}
