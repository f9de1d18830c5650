using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;

namespace Bamba.Onnx.Exporter;

/// <summary>What a caller asks of an export.</summary>
public sealed record ExportOptions
{
    /// <summary>Element type of weights and activations; null for float32, which every provider runs.</summary>
    public ElementType? Dtype { get; init; }

    /// <summary>Which matrices are stored in fewer bits; null for none.</summary>
    public QuantizationOptions? Quantization { get; init; }

    /// <summary>
    /// Text to measure activations on, for <see cref="QuantizationMethod.Activation"/>: windows of as many tokens each.
    /// </summary>
    public IReadOnlyList<int[]>? CalibrationTokens { get; init; }

    /// <summary>The graphs to write; null for <see cref="ExportLayout.DefaultProfiles"/>.</summary>
    public IReadOnlyList<GraphProfile>? Profiles { get; init; }

    /// <summary>Whether weights are written; without them the folder shows the graphs only.</summary>
    public bool Weights { get; init; } = true;

    /// <summary>
    /// The most bytes of a file of weights, after which another begins; a tensor of more has a file of its own. Null for a single
    /// file. With <see cref="GraphProfile.Web"/> it is <see cref="ExportLayout.MostWebFileBytes"/> at most.
    /// </summary>
    public long? MaxShardBytes { get; init; }

    /// <summary>Positions with logits; null for each profile's own habit.</summary>
    public LogitsPositions? Logits { get; init; }

    /// <summary>Whether <c>hidden_states.{i}</c> outputs are added.</summary>
    public bool OutputHiddenStates { get; init; }

    /// <summary>Most tokens of a sequence; null for the model's own limit.</summary>
    public int? ContextLength { get; init; }
}

/// <summary>How far an export is.</summary>
/// <param name="Stage">What it is doing.</param>
/// <param name="DoneBytes">Bytes of weights written.</param>
/// <param name="TotalBytes">Bytes of weights in all.</param>
public readonly record struct ExportProgress(ExportStage Stage, long DoneBytes, long TotalBytes);

/// <summary>The stages of an export.</summary>
public enum ExportStage
{
    /// <summary>Reading the checkpoint's headers and building graphs.</summary>
    Building,

    /// <summary>Running text through the layers, to see how large their inputs are.</summary>
    Calibrating,

    /// <summary>Comparing weights that an earlier export finished with their hashes.</summary>
    Checking,

    /// <summary>Converting and writing weights.</summary>
    Writing,

    /// <summary>Reading the written weights back for their hash.</summary>
    Hashing,

    /// <summary>The folder is in place.</summary>
    Done,
}
