namespace Bamba.Onnx.Sampling;

/// <summary>The filters of <see cref="TokenSampler"/>, its steps from top-k to typical, and the memory in which they work.</summary>
internal sealed class CandidateFilters(SamplingOptions options)
{
    private readonly MassSelection selection = new();
    private readonly ScratchArray<ulong> keys = new();
    private readonly ScratchArray<int> ids = new();
    private readonly ScratchArray<float> scores = new();
    private readonly ScratchArray<double> weights = new();
    private readonly ScratchArray<double> exponents = new();

    /// <summary>The tokens that pass all filters. Without a filter all are left, those of weight 0 too.</summary>
    /// <param name="all">All scores, [vocab_size], the highest not negative infinity.</param>
    /// <param name="softmax">What they weigh.</param>
    public Candidates Apply(ReadOnlySpan<float> all, SoftmaxWeights softmax)
    {
        var candidates = new Candidates(all, ids.First(all.Length), scores.First(all.Length));
        if (options.TopK is { } k && k < candidates.Scores.Length)
        {
            KeepFirst(ref candidates, k);
        }
        if (options.TopP < 1)
        {
            KeepNucleus(ref candidates, softmax);
        }
        if (options.MinP > 0)
        {
            candidates.Narrow(ScoreCut.AtLeast((float)softmax.ScoreOf(options.MinP)));
        }
        if (options.TypicalP < 1)
        {
            KeepTypical(ref candidates, softmax);
        }
        return candidates;
    }

    private void KeepFirst(ref Candidates candidates, int k)
    {
        // Positions stand for ids: both are in the same order.
        ScoreCut last = TopScores.LastOf(candidates.Scores, k, keys.First(TopScores.KeysFor(k)));
        candidates.Narrow(last with { LastId = candidates.IdAt(last.LastId) });
    }

    private void KeepNucleus(ref Candidates candidates, SoftmaxWeights softmax)
    {
        double total = softmax.Sum(candidates.Scores);
        // Even all together, tokens of less than this weight are at most half of what is to be left out.
        double negligible = (1 - options.TopP) * total / candidates.Scores.Length / 2;
        candidates.Narrow(ScoreCut.AtLeast(float.BitDecrement((float)softmax.ScoreOf(negligible))));
        int count = candidates.Scores.Length;
        Span<double> weight = weights.First(count);
        Span<double> distance = exponents.First(count);
        softmax.Weigh(candidates.Scores, weight, distance);
        foreach (ref double exponent in distance)
        {
            exponent = -exponent;
        }
        int last = selection.Find(distance, candidates.Scores, weight, options.TopP * total);
        candidates.Narrow(new ScoreCut(candidates.Scores[last], candidates.IdAt(last)));
    }

    private void KeepTypical(ref Candidates candidates, SoftmaxWeights softmax)
    {
        candidates.Narrow(ScoreCut.AtLeast(float.NegativeInfinity));
        int count = candidates.Scores.Length;
        Span<double> weight = weights.First(count);
        Span<double> distance = exponents.First(count);
        softmax.Weigh(candidates.Scores, weight, distance);
        double total = 0;
        double moment = 0;
        for (int i = 0; i < count; i++)
        {
            total += weight[i];
            // An exponent of negative infinity, as next to a highest score of infinity, has no product with its weight of 0.
            moment += weight[i] > 0 ? weight[i] * distance[i] : 0;
        }
        double mean = moment / total;
        foreach (ref double exponent in distance)
        {
            exponent = Math.Abs(exponent - mean);
        }
        int last = selection.Find(distance, candidates.Scores, weight, options.TypicalP * total);
        candidates.Narrow(distance, distance[last]);
    }
}
