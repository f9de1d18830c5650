using System.Buffers;
using System.Security.Cryptography;

namespace Bamba.Onnx.Sampling;

/// <summary>Chooses tokens from scores. It has no state but its options, so that any number of threads may share one.</summary>
public sealed class TokenSampler
{
    private readonly SamplingOptions options;

    /// <summary>Creates a sampler; without a seed it draws one, which <see cref="Seed"/> tells.</summary>
    public TokenSampler(SamplingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        this.options = options;
        Seed = options.Seed ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));
    }

    /// <summary>The seed in use.</summary>
    public ulong Seed { get; }

    /// <summary>Chooses a token.</summary>
    /// <param name="logits">Scores, [vocab_size]; NaN never wins.</param>
    /// <param name="step">Which token of its sequence this is: with seed and row it decides the random choice.</param>
    /// <param name="row">The sequence.</param>
    /// <exception cref="ArgumentException">There are no scores, or none is a number.</exception>
    public int Sample(ReadOnlySpan<float> logits, long step, int row = 0)
    {
        int best = Greedy(logits);
        if (options.Temperature == 0)
        {
            return best;
        }
        int[] ids = ArrayPool<int>.Shared.Rent(logits.Length);
        double[] weights = ArrayPool<double>.Shared.Rent(logits.Length);
        try
        {
            int count = Weigh(logits, logits[best], ids, weights);
            double point = Philox.Uniform(Seed, (uint)row, (ulong)step);
            return Choose(ids.AsSpan(0, count), weights.AsSpan(0, count), point);
        }
        finally
        {
            ArrayPool<int>.Shared.Return(ids);
            ArrayPool<double>.Shared.Return(weights);
        }
    }

    /// <summary>The highest score; of equal ones the lowest id.</summary>
    private static int Greedy(ReadOnlySpan<float> logits)
    {
        int best = -1;
        for (int id = 0; id < logits.Length; id++)
        {
            if (best < 0 ? !float.IsNaN(logits[id]) : logits[id] > logits[best])
            {
                best = id;
            }
        }
        return best >= 0
            ? best
            : throw new ArgumentException(
                $"expected scores, found {logits.Length} that are not numbers",
                nameof(logits)
            );
    }

    /// <summary>The tokens that take part with weights in proportion to their probabilities; likeliest first where a filter is set.</summary>
    private int Weigh(ReadOnlySpan<float> logits, float highest, int[] ids, double[] weights)
    {
        int count = 0;
        for (int id = 0; id < logits.Length; id++)
        {
            double weight = Math.Exp((logits[id] - (double)highest) / options.Temperature);
            if (weight > 0)
            {
                ids[count] = id;
                // Ascending order of the negated weight is descending order of the weight.
                weights[count++] = -weight;
            }
        }
        if (options.TopK is not null || options.TopP < 1)
        {
            SortLikeliestFirst(weights.AsSpan(0, count), ids.AsSpan(0, count));
            count = Math.Min(count, options.TopK ?? count);
        }
        for (int i = 0; i < count; i++)
        {
            weights[i] = -weights[i];
        }
        return options.TopP < 1 ? Nucleus(weights.AsSpan(0, count)) : count;
    }

    /// <summary>Sorts by weight, then by id, so that equal scores have one order on every machine.</summary>
    private static void SortLikeliestFirst(Span<double> negatedWeights, Span<int> ids)
    {
        negatedWeights.Sort(ids);
        for (int start = 0; start < ids.Length; )
        {
            int end = start + 1;
            while (end < ids.Length && negatedWeights[end] == negatedWeights[start])
            {
                end++;
            }
            ids[start..end].Sort();
            start = end;
        }
    }

    private int Nucleus(ReadOnlySpan<double> weights)
    {
        double total = Sum(weights);
        double sum = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            sum += weights[i];
            if (sum >= options.TopP * total)
            {
                return i + 1;
            }
        }
        return weights.Length;
    }

    private static int Choose(ReadOnlySpan<int> ids, ReadOnlySpan<double> weights, double point)
    {
        double target = point * Sum(weights);
        double sum = 0;
        for (int i = 0; i < ids.Length; i++)
        {
            sum += weights[i];
            if (target < sum)
            {
                return ids[i];
            }
        }
        return ids[^1];
    }

    private static double Sum(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double value in values)
        {
            sum += value;
        }
        return sum;
    }
}
