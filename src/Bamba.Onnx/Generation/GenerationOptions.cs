using System.Collections.Immutable;
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

    /// <summary>Texts that end the generation wherever they come up, also across tokens. They are not shown.</summary>
    /// <exception cref="ArgumentException">One is empty.</exception>
    public ImmutableArray<string> StopStrings
    {
        get;
        init
        {
            if (value.Any(string.IsNullOrEmpty))
            {
                throw new ArgumentException("expected stop strings with text, found an empty one", nameof(StopStrings));
            }
            field = value;
        }
    } = [];

    /// <summary>The tokens that end a text; an empty list lets it run on to its other limits.</summary>
    public ImmutableArray<int>? EosTokenIds { get; init; }

    /// <summary>How many of the likeliest alternatives to tell with each token's log probability; null tells none at all.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int? LogProbabilities
    {
        get;
        init
        {
            if (value is { } alternatives)
            {
                ArgumentOutOfRangeException.ThrowIfNegative(alternatives);
            }
            field = value;
        }
    }

    internal int MaxNewTokensFor(BambaRuntime model) =>
        MaxNewTokens ?? model.Defaults.MaxNewTokens ?? DefaultMaxNewTokens;
}
