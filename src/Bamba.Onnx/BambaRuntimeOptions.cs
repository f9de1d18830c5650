using Bamba.Onnx.Contract;
using Bamba.Onnx.Hub;
using Bamba.Onnx.Sessions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Bamba.Onnx;

/// <summary>How a model is loaded. What is null was not said, and ONNX Runtime or the model decides.</summary>
public sealed record BambaRuntimeOptions
{
    /// <summary>Threads of one operator; null for one a core of those that the process may use, and on a device for one.</summary>
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

    /// <summary>
    /// Most tokens of a prompt that go through the model in one call: more is faster and takes more memory. Null for 512 on the
    /// processor and 2,048 on a device.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public int? PrefillChunk
    {
        get;
        init
        {
            if (value is { } tokens)
            {
                ArgumentOutOfRangeException.ThrowIfNegativeOrZero(tokens, nameof(value));
            }
            field = value;
        }
    }

    /// <summary>What computes the scan of Mamba layers; by default the native library beside the application where there is one.</summary>
    public CustomOps CustomOps
    {
        get;
        init
        {
            ArgumentNullException.ThrowIfNull(value);
            field = value;
        }
    } = CustomOps.Auto;

    /// <summary>What the model runs on; by default a device where there is one.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is none of the enumeration's.</exception>
    public ExecutionProvider Provider
    {
        get;
        init
        {
            if (!Enum.IsDefined(value))
            {
                throw new ArgumentOutOfRangeException(nameof(value), value, null);
            }
            field = value;
        }
    }

    /// <summary>Which device, as CUDA numbers them.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public int DeviceId
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            field = value;
        }
    }

    /// <summary>Most bytes of the device's memory for weights and computation; null for as much as there is.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is not positive.</exception>
    public long? DeviceMemoryLimit
    {
        get;
        init
        {
            if (value is { } bytes)
            {
                ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bytes, nameof(value));
            }
            field = value;
        }
    }

    /// <summary>Hugging Face's cache, where an id is looked up; by default <c>~/.cache/huggingface/hub</c>.</summary>
    /// <exception cref="ArgumentException">The value is empty.</exception>
    public string HubCacheFolder
    {
        get;
        init
        {
            ArgumentException.ThrowIfNullOrEmpty(value);
            field = value;
        }
    } = HubSettings.Default.HubCacheFolder;

    /// <summary>
    /// The exports that <c>bamba-onnx</c> keeps of checkpoints; by default <c>~/.cache/bamba-onnx/models</c>, on Windows in the
    /// local application data.
    /// </summary>
    /// <exception cref="ArgumentException">The value is empty.</exception>
    public string ExportCacheFolder
    {
        get;
        init
        {
            ArgumentException.ThrowIfNullOrEmpty(value);
            field = value;
        }
    } = HubSettings.Default.ExportCacheFolder;

    /// <summary>
    /// Which kept export of a checkpoint is taken; null for float32 where there is one, else any. One with matrices of fewer bits is
    /// taken only where there is no other.
    /// </summary>
    public ElementType? Dtype { get; init; }

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

    /// <summary>Whether a device records a step and replays it; without, it runs kernel by kernel, which gives the same.</summary>
    internal bool RecordSteps { get; init; } = true;

    /// <summary>
    /// A file for ONNX Runtime's profile of every run: a list of events, in Chrome's trace format. It is written when the model's
    /// memory is freed. Null for none.
    /// </summary>
    internal string? TraceFile { get; init; }

    internal int PrefillChunkOf(ExecutionProvider provider) =>
        PrefillChunk ?? (provider == ExecutionProvider.Cuda ? 2048 : 512);
}
