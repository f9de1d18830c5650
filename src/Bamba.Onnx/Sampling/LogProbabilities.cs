using System.Collections.Immutable;

namespace Bamba.Onnx.Sampling;

/// <summary>
/// How likely the model found the token that was chosen, and which it found likeliest. This is the model's own distribution, before
/// bias, penalties, bans, temperature and filters, as OpenAI's <c>logprobs</c> and vLLM's <c>raw_logprobs</c> are.
/// </summary>
public sealed class LogProbabilities
{
    private LogProbabilities(TokenLogProbability chosen, ImmutableArray<TokenLogProbability> alternatives)
    {
        Chosen = chosen;
        Alternatives = alternatives;
    }

    /// <summary>The token that was chosen.</summary>
    public TokenLogProbability Chosen { get; }

    /// <summary>The likeliest tokens, likeliest first, of equally likely ones the lowest id first. The chosen one may be among them.</summary>
    public ImmutableArray<TokenLogProbability> Alternatives { get; }

    /// <summary>The log-softmax of scores at a token and at the highest ones, in float64.</summary>
    /// <param name="logits">
    /// The model's scores, [vocab_size], float32. NaN counts as negative infinity; tokens of positive infinity share all probability.
    /// </param>
    /// <param name="chosen">The token that was chosen.</param>
    /// <param name="alternatives">How many of the likeliest to tell; there are fewer where fewer are possible at all.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The token is not one of the scores', or the number of alternatives is negative.
    /// </exception>
    /// <exception cref="ArgumentException">Every score is NaN or negative infinity.</exception>
    public static LogProbabilities Of(ReadOnlySpan<float> logits, int chosen, int alternatives)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(chosen);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(chosen, logits.Length);
        ArgumentOutOfRangeException.ThrowIfNegative(alternatives);
        int best = HighestScore.Find(logits);
        if (best < 0)
        {
            throw new ArgumentException(
                $"expected a score above negative infinity, found none of {logits.Length}",
                nameof(logits)
            );
        }
        float highest = logits[best];
        double logSum = Math.Log(new SoftmaxWeights(highest, temperature: 1).Sum(logits));
        TokenLogProbability At(int id, float score) =>
            new(
                id,
                score == highest ? -logSum
                    : float.IsNaN(score) ? double.NegativeInfinity
                    : (double)score - highest - logSum
            );

        ImmutableArray<TokenLogProbability> likeliest = [];
        if (alternatives > 0)
        {
            int k = Math.Min(alternatives, logits.Length);
            Span<ulong> keys = TopScores.Find(logits, k, new ulong[TopScores.KeysFor(k)]);
            keys.Sort();
            var found = ImmutableArray.CreateBuilder<TokenLogProbability>(keys.Length);
            foreach (ulong key in keys)
            {
                ScoreCut token = ScoreCut.AtKey(key);
                found.Add(At(token.LastId, token.Score));
            }
            likeliest = found.MoveToImmutable();
        }
        return new LogProbabilities(At(chosen, logits[chosen]), likeliest);
    }
}
