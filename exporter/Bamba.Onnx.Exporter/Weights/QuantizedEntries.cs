namespace Bamba.Onnx.Exporter.Weights;

/// <summary>A quantized matrix in a weights file. Its parts are made together, from one reading of its source.</summary>
/// <param name="Codes">[rows, bytes of a row's codes] of uint8.</param>
/// <param name="Scales">[rows, groups] of the type that the format says, or else the export's.</param>
/// <param name="ZeroPoints">[rows, bytes of a row's zero points] of uint8, or [rows, groups] of the scales' type; null without.</param>
internal sealed record QuantizedEntries(WeightEntry Codes, WeightEntry Scales, WeightEntry? ZeroPoints);
