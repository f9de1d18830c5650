using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Generation;

/// <summary>What a caller asks of one generation. What is null follows the model's <see cref="GenerationDefaults"/>.</summary>
public sealed record GenerationOptions
{
    /// <summary>Tokens when neither the caller nor the model says how many.</summary>
    public const int DefaultMaxNewTokens = 256;

    /// <summary>Tokens to generate at most; the context's end may come earlier.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int? MaxNewTokens
    {
        get;
        init
        {
            if (value is { } count)
            {
                ArgumentOutOfRangeException.ThrowIfNegative(count);
            }
            field = value;
        }
    }

    /// <summary>How tokens are chosen.</summary>
    public SamplingOptions? Sampling { get; init; }
}
