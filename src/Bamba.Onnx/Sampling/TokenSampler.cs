using System.Security.Cryptography;

namespace Bamba.Onnx.Sampling;

/// <summary>
/// Chooses tokens from scores. A choice depends on scores, tokens so far, options and seed alone, not on earlier calls; but a sampler
/// works in memory of its own, which it keeps so that a call allocates nothing: use it from one thread at a time, one for a sequence.
/// </summary>
/// <remarks>
/// <para>
/// Scores s are float32, by token id. A score of NaN or negative infinity is never chosen. Tokens rank by score, highest first,
/// and of equal scores by id, lowest first. The steps run in this order, those of Hugging Face's generate with OpenAI's two
/// penalties after the repetition penalty, as in vLLM; each filter leaves at least one token:
/// </para>
/// <list type="number">
/// <item><description>Logit bias b: s + b.</description></item>
/// <item><description>
/// Repetition penalty r, for each token of prompt and generated text once: s · r where s is negative, else s / r.
/// </description></item>
/// <item><description>
/// Frequency penalty f and presence penalty p, for each token that was generated c times, c at least 1: s - f · c, then - p. The
/// prompt does not count.
/// </description></item>
/// <item><description>
/// No-repeat n-gram: negative infinity for every token that followed an occurrence of the last n - 1 tokens in prompt or text.
/// Steps 1 to 4 round to float32 after each operation. With temperature 0 the token that ranks first is the choice.
/// </description></item>
/// <item><description>
/// Temperature T: the weight of a token is w = exp((s - m) / T) in float64, m the highest score; 0 where (s - m) / T is below -708.
/// If m is infinite, the tokens with that score weigh 1, all others 0.
/// </description></item>
/// <item><description>Top-k: the k tokens that rank first.</description></item>
/// <item><description>
/// Top-p: the fewest of those that rank first whose weights sum to at least p times the sum over all that step 6 left.
/// </description></item>
/// <item><description>Min-p: those with s at least m + T · ln(p), which is computed in float64 and rounded to float32.</description></item>
/// <item><description>
/// Typical: with x = (s - m) / T and its mean weighted by w over what is left, those of the least |x - mean| whose weights first
/// sum to at least p times the sum over what is left, and all with the same |x - mean| as the last of these. As -ln of the
/// probability is ln(Σw) - x, this distance is that of a token's information from the entropy.
/// </description></item>
/// <item><description>
/// Choice: u = Philox 4×32-10 of counter (position, 0) under the seed (<see cref="Seed"/>), 53 bits as a number in [0, 1), position
/// being the number of tokens before this one, prompt included. The chosen token is the first, in ascending order of ids among
/// those left, at which the running sum of w exceeds u · Σw.
/// </description></item>
/// </list>
/// <para>Sums are float64 in a fixed order of additions, so that the same call chooses the same token on every machine.</para>
/// </remarks>
public sealed class TokenSampler
{
    private readonly SamplingOptions options;
    private readonly ScoreAdjustments adjustments;
    private readonly WeightedChoice choice = new();
    private readonly CandidateFilters filters;
    private readonly ScratchArray<double> weights = new();

    /// <summary>Creates a sampler; without a seed it draws one, which <see cref="Seed"/> tells.</summary>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> is null.</exception>
    public TokenSampler(SamplingOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        this.options = options;
        adjustments = new ScoreAdjustments(options);
        filters = new CandidateFilters(options);
        Seed = options.Seed ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));
    }

    /// <summary>The seed in use.</summary>
    public ulong Seed { get; }

    /// <summary>Whether nothing but temperature, top-k, top-p and min-p takes part in the choice, which devices can make too.</summary>
    internal bool IsOfScoresAlone => !NeedsHistory && options is { TypicalP: 1, LogitBias.Count: 0 };

    /// <summary>Whether an option looks at the tokens so far, so that <see cref="Sample(ReadOnlySpan{float}, ulong)"/> cannot do.</summary>
    public bool NeedsHistory => adjustments.HistoryOption is not null;

    /// <summary>Chooses the token that follows a sequence.</summary>
    /// <param name="logits">The model's scores, [vocab_size], float32.</param>
    /// <param name="tokens">All tokens of the sequence so far, the prompt's first, [sequence].</param>
    /// <param name="promptLength">How many of them are the prompt.</param>
    /// <returns>The token's id.</returns>
    /// <exception cref="ArgumentException">
    /// Every score is NaN or negative infinity, in <paramref name="logits"/> or after bias and bans; or a token or the id of a bias is
    /// not below vocab_size.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The prompt's length is negative or more than all tokens.</exception>
    public int Sample(ReadOnlySpan<float> logits, ReadOnlySpan<int> tokens, int promptLength)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(promptLength);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(promptLength, tokens.Length);
        return Choose(adjustments.Apply(logits, tokens, promptLength), (ulong)tokens.Length);
    }

    /// <summary>Chooses a token where no option looks at the tokens so far.</summary>
    /// <param name="logits">The model's scores, [vocab_size], float32.</param>
    /// <param name="position">The number of tokens before this one, prompt included.</param>
    /// <returns>The token's id.</returns>
    /// <exception cref="ArgumentException">As for the other overload.</exception>
    /// <exception cref="InvalidOperationException">An option looks at the tokens so far (<see cref="NeedsHistory"/>).</exception>
    public int Sample(ReadOnlySpan<float> logits, ulong position)
    {
        if (adjustments.HistoryOption is { } option)
        {
            throw new InvalidOperationException(
                $"expected a sampler that needs no history, found one with {option}: pass the tokens so far"
            );
        }
        return Choose(adjustments.Apply(logits, [], 0), position);
    }

    /// <summary>The distribution from which <see cref="Sample(ReadOnlySpan{float}, ReadOnlySpan{int}, int)"/> chooses.</summary>
    /// <param name="logits">As there.</param>
    /// <param name="tokens">As there.</param>
    /// <param name="promptLength">As there.</param>
    /// <param name="probabilities">Gets each token's probability after all steps, [vocab_size]; 0 for those left out.</param>
    /// <exception cref="ArgumentException">As there; or the probabilities are not as many as the scores.</exception>
    /// <exception cref="ArgumentOutOfRangeException">As there.</exception>
    public void Distribution(
        ReadOnlySpan<float> logits,
        ReadOnlySpan<int> tokens,
        int promptLength,
        Span<double> probabilities
    )
    {
        ArgumentOutOfRangeException.ThrowIfNegative(promptLength);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(promptLength, tokens.Length);
        if (probabilities.Length != logits.Length)
        {
            throw new ArgumentException(
                $"expected room for {logits.Length} probabilities, found {probabilities.Length}",
                nameof(probabilities)
            );
        }
        ReadOnlySpan<float> scores = adjustments.Apply(logits, tokens, promptLength);
        int best = FirstOf(scores);
        probabilities.Clear();
        if (options.Temperature == 0)
        {
            probabilities[best] = 1;
            return;
        }
        var softmax = new SoftmaxWeights(scores[best], options.Temperature);
        Candidates candidates = filters.Apply(scores, softmax);
        Span<double> left = weights.First(candidates.Scores.Length);
        softmax.Weigh(candidates.Scores, left);
        double total = softmax.Sum(candidates.Scores);
        for (int i = 0; i < left.Length; i++)
        {
            probabilities[candidates.IdAt(i)] = left[i] / total;
        }
    }

    private int Choose(ReadOnlySpan<float> scores, ulong position)
    {
        int best = FirstOf(scores);
        if (options.Temperature == 0)
        {
            return best;
        }
        var softmax = new SoftmaxWeights(scores[best], options.Temperature);
        Candidates candidates = filters.Apply(scores, softmax);
        return candidates.IdAt(choice.Choose(candidates.Scores, softmax, Philox.Uniform(Seed, position)));
    }

    private static int FirstOf(ReadOnlySpan<float> logits)
    {
        int best = HighestScore.Find(logits);
        return best >= 0
            ? best
            : throw new ArgumentException(
                $"expected a score above negative infinity, found none of {logits.Length}",
                nameof(logits)
            );
    }
}
