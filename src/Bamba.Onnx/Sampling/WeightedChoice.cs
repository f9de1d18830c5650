namespace Bamba.Onnx.Sampling;

/// <summary>Draws from scores by the inverse of their cumulative distribution.</summary>
internal sealed class WeightedChoice
{
    // The sums of blocks say in which block the choice falls; only that one is gone through token by token.
    private const int BlockLength = 256;

    private readonly ScratchArray<double> blockSums = new();
    private readonly double[] blockWeights = new double[BlockLength];

    /// <summary>The first position at which the sum of the weights up to it exceeds the point's share of the sum of all.</summary>
    /// <param name="scores">Scores, at least one of weight 1; those of weight 0 are never chosen.</param>
    /// <param name="softmax">What they weigh.</param>
    /// <param name="point">In [0, 1).</param>
    public int Choose(ReadOnlySpan<float> scores, SoftmaxWeights softmax, double point)
    {
        Span<double> sums = blockSums.First((scores.Length + BlockLength - 1) / BlockLength);
        double total = 0;
        int last = 0;
        for (int block = 0; block < sums.Length; block++)
        {
            sums[block] = softmax.Sum(BlockOf(scores, block));
            total += sums[block];
            last = sums[block] > 0 ? block : last;
        }
        double target = point * total;
        double sum = 0;
        int chosen = 0;
        while (chosen < last && sum + sums[chosen] <= target)
        {
            sum += sums[chosen++];
        }
        return (chosen * BlockLength) + ChooseInBlock(BlockOf(scores, chosen), softmax, sum, target);
    }

    private int ChooseInBlock(ReadOnlySpan<float> scores, SoftmaxWeights softmax, double sum, double target)
    {
        Span<double> weights = blockWeights.AsSpan(0, scores.Length);
        softmax.Weigh(scores, weights);
        // Where the rounding of the sums carries the target past the block's end, its last token with any weight is meant.
        int last = 0;
        for (int i = 0; i < weights.Length; i++)
        {
            sum += weights[i];
            if (weights[i] > 0)
            {
                last = i;
                if (sum > target)
                {
                    break;
                }
            }
        }
        return last;
    }

    private static ReadOnlySpan<float> BlockOf(ReadOnlySpan<float> scores, int block) =>
        scores.Slice(block * BlockLength, Math.Min(BlockLength, scores.Length - (block * BlockLength)));
}
