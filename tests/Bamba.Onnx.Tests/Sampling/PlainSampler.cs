using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

/// <summary>The steps of sampling by their definitions in the plainest way: everything sorted, everything looped over.</summary>
internal static class PlainSampler
{
    /// <summary>Each token's probability after all steps; null where no token is left to choose.</summary>
    public static double[]? Distribution(SamplingOptions options, float[] logits, int[] tokens, int promptLength)
    {
        float[] scores = Adjust(options, logits, tokens, promptLength);
        List<int> ranking =
        [
            .. Enumerable
                .Range(0, scores.Length)
                .Where(id => scores[id] > float.NegativeInfinity)
                .OrderByDescending(id => scores[id])
                .ThenBy(id => id),
        ];
        if (ranking.Count == 0)
        {
            return null;
        }
        if (options.Temperature == 0)
        {
            return [.. scores.Select((_, id) => id == ranking[0] ? 1.0 : 0.0)];
        }
        double[] weights = [.. scores.Select(score => Weight(score, scores[ranking[0]], options.Temperature))];
        ranking = [.. ranking.Take(options.TopK ?? int.MaxValue)];
        ranking = TopP(ranking, weights, options.TopP);
        ranking = [.. ranking.Where(id => weights[id] >= options.MinP * weights[ranking[0]])];
        ranking = Typical(ranking, weights, options.TypicalP);
        double total = ranking.Sum(id => weights[id]);
        double[] probabilities = new double[scores.Length];
        foreach (int id in ranking)
        {
            probabilities[id] = weights[id] / total;
        }
        return probabilities;
    }

    private static float[] Adjust(SamplingOptions options, float[] logits, int[] tokens, int promptLength)
    {
        float[] scores = [.. logits];
        foreach ((int id, float bias) in options.LogitBias)
        {
            scores[id] += bias;
        }
        foreach (int id in tokens.Distinct())
        {
            float penalty = (float)options.RepetitionPenalty;
            scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
        }
        foreach (IGrouping<int, int> generated in tokens.Skip(promptLength).GroupBy(id => id))
        {
            scores[generated.Key] -= (float)options.FrequencyPenalty * generated.Count();
            scores[generated.Key] -= (float)options.PresencePenalty;
        }
        int n = options.NoRepeatNgramSize;
        for (int start = 0; n > 0 && start + n <= tokens.Length; start++)
        {
            if (tokens.Skip(start).Take(n - 1).SequenceEqual(tokens.TakeLast(n - 1)))
            {
                scores[tokens[start + n - 1]] = float.NegativeInfinity;
            }
        }
        return scores;
    }

    private static double Weight(float score, float highest, double temperature)
    {
        if (score == highest)
        {
            return 1;
        }
        double exponent = ((double)score - highest) / temperature;
        return exponent >= -708 ? Math.Exp(exponent) : 0;
    }

    private static List<int> TopP(List<int> ranking, double[] weights, double topP)
    {
        double target = topP * ranking.Sum(id => weights[id]);
        var kept = new List<int>();
        double sum = 0;
        foreach (int id in ranking)
        {
            if (topP < 1 && sum >= target)
            {
                break;
            }
            kept.Add(id);
            sum += weights[id];
        }
        return kept;
    }

    /// <summary>As Hugging Face's TypicalLogitsWarper states it: by the entropy and the tokens' information.</summary>
    private static List<int> Typical(List<int> ranking, double[] weights, double mass)
    {
        if (mass == 1)
        {
            return ranking;
        }
        double total = ranking.Sum(id => weights[id]);
        double Information(int id) => -Math.Log(weights[id] / total);
        List<int> possible = [.. ranking.Where(id => weights[id] > 0)];
        double entropy = possible.Sum(id => weights[id] / total * Information(id));
        (int Id, double Distance)[] nearestFirst =
        [
            .. possible.Select(id => (id, Math.Abs(Information(id) - entropy))).OrderBy(token => token.Item2),
        ];
        double sum = 0;
        double farthest = double.PositiveInfinity;
        foreach ((int id, double distance) in nearestFirst)
        {
            sum += weights[id];
            if (sum >= mass * total)
            {
                farthest = distance;
                break;
            }
        }
        return [.. nearestFirst.Where(token => token.Distance <= farthest).Select(token => token.Id)];
    }
}
