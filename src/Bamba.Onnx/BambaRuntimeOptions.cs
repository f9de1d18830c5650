using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Bamba.Onnx;

/// <summary>How a model is loaded. What is null was not said, and ONNX Runtime or the model decides.</summary>
public sealed record BambaRuntimeOptions
{
    /// <summary>Threads of one operator; null for one a core.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int? Threads
    {
        get;
        init
        {
            if (value is { } threads)
            {
                ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
            }
            field = value;
        }
    }

    /// <summary>Most tokens of a prompt that go through the model in one call: more is faster and takes more memory.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int PrefillChunk
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            field = value;
        }
    } = 512;

    /// <summary>Where the library logs, under the category <c>Bamba.Onnx</c>; nowhere by default.</summary>
    public ILoggerFactory LoggerFactory
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = NullLoggerFactory.Instance;
}
