using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub;

/// <summary>In what form a checkpoint is exported, of which the cache keeps one each. All other options are an export's defaults.</summary>
/// <param name="Dtype">Element type of weights and activations.</param>
/// <param name="Quantization">
/// Everything that decides which matrices have fewer bits and how they were chosen, in the exporter's words; null where none has.
/// </param>
public sealed record ExportForm(ElementType Dtype, string? Quantization = null);
