namespace Bamba.Onnx.Sampling;

/// <summary>How the next token is chosen from its scores. The order is top-k, temperature, top-p, as in Hugging Face's generate.</summary>
public sealed record SamplingOptions
{
    /// <summary>Always the highest score; of equal ones the lowest id.</summary>
    public static SamplingOptions Greedy { get; } = new() { Temperature = 0 };

    /// <summary>What scores are divided by: 0 is greedy, 1 the model's own distribution, more is wilder.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative or not finite.</exception>
    public double Temperature
    {
        get;
        init =>
            field =
                double.IsFinite(value) && value >= 0
                    ? value
                    : throw new ArgumentOutOfRangeException(
                        nameof(Temperature),
                        $"expected a number that is not negative, found {value}"
                    );
    } = 1;

    /// <summary>Only the k highest scores take part; null for all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int? TopK
    {
        get;
        init =>
            field = value is null or > 0
                ? value
                : throw new ArgumentOutOfRangeException(nameof(TopK), $"expected a positive count, found {value}");
    }

    /// <summary>Only the likeliest tokens whose probabilities first reach this sum take part (nucleus sampling, Holtzman et al. 2020).</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not in (0, 1].</exception>
    public double TopP
    {
        get;
        init =>
            field = value is > 0 and <= 1
                ? value
                : throw new ArgumentOutOfRangeException(
                    nameof(TopP),
                    $"expected a share from above 0 to 1, found {value}"
                );
    } = 1;

    /// <summary>What fixes the random choices: the same seed and scores give the same tokens on any machine; null for a fresh one.</summary>
    public ulong? Seed { get; init; }
}
