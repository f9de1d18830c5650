using System.Runtime.CompilerServices;

namespace Bamba.Onnx.Sampling;

/// <summary>
/// How the next token is chosen from its scores: a value, equal to another with the same settings. <see cref="TokenSampler"/> says
/// in which order the steps run and what each does exactly.
/// </summary>
public sealed record SamplingOptions
{
    /// <summary>Always the highest score; of equal ones the lowest id.</summary>
    public static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    /// <summary>What scores are divided by: 0 is greedy, 1 the model's own distribution, more is wilder.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double Temperature
    {
        get;
        init => field = Accept(value, double.IsFinite(value) && value >= 0, "a number that is not negative");
    } = 1;

    /// <summary>Only the k highest scores take part, exactly k of them; null for all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int? TopK
    {
        get;
        init => field = Accept(value, value is null or > 0, "a positive count");
    }

    /// <summary>Only the likeliest tokens whose probabilities first reach this sum take part (nucleus sampling, Holtzman et al. 2020); 1 for all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not in (0, 1].</exception>
    public double TopP
    {
        get;
        init => field = Accept(value, value is > 0 and <= 1, "a share from above 0 to 1");
    } = 1;

    /// <summary>Only tokens at least this many times as likely as the likeliest take part (Nguyen et al. 2024); 0 for all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not in [0, 1].</exception>
    public double MinP
    {
        get;
        init => field = Accept(value, value is >= 0 and <= 1, "a share from 0 to 1");
    }

    /// <summary>
    /// Only the tokens whose information is closest to the distribution's entropy, up to this sum of probabilities, take part
    /// (locally typical sampling, Meister et al. 2023); 1 for all.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not in (0, 1].</exception>
    public double TypicalP
    {
        get;
        init => field = Accept(value, value is > 0 and <= 1, "a share from above 0 to 1");
    } = 1;

    /// <summary>
    /// What the positive scores of all tokens of prompt and text so far are divided by, and their negative ones multiplied by (CTRL,
    /// Keskar et al. 2019; Hugging Face's <c>RepetitionPenaltyLogitsProcessor</c>); 1 for none, less than 1 rewards.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive or not finite.</exception>
    public double RepetitionPenalty
    {
        get;
        init => field = Accept(value, double.IsFinite(value) && value > 0, "a positive number");
    } = 1;

    /// <summary>What is taken from a token's score for each time that it was generated (OpenAI's <c>frequency_penalty</c>); 0 for none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not finite.</exception>
    public double FrequencyPenalty
    {
        get;
        init => field = Accept(value, double.IsFinite(value), "a finite number");
    }

    /// <summary>What is taken once from the score of each token that was generated (OpenAI's <c>presence_penalty</c>); 0 for none.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not finite.</exception>
    public double PresencePenalty
    {
        get;
        init => field = Accept(value, double.IsFinite(value), "a finite number");
    }

    /// <summary>What is added to the scores of certain tokens, by id: negative infinity bans a token. A copy of what was set.</summary>
    /// <exception cref="ArgumentNullException">The value is null.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative or a bias is not a number.</exception>
    public IReadOnlyDictionary<int, float> LogitBias
    {
        get;
        init => field = TokenBiases.CopyOf(value);
    } = TokenBiases.None;

    /// <summary>
    /// No token may complete a run of so many tokens that stands in prompt and text already (Hugging Face's
    /// <c>NoRepeatNGramLogitsProcessor</c>); 0 for no such rule.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int NoRepeatNgramSize
    {
        get;
        init => field = Accept(value, value >= 0, "a count that is not negative");
    }

    /// <summary>What fixes the random choices: the same seed and scores give the same tokens on any machine; null for a fresh one.</summary>
    public ulong? Seed { get; init; }

    private static T Accept<T>(T value, bool accepted, string expected, [CallerMemberName] string option = "") =>
        accepted ? value : throw new ArgumentOutOfRangeException(option, $"expected {expected}, found {value}");
}
