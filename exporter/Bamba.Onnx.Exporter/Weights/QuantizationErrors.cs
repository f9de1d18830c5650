using System.Collections.Concurrent;
using Bamba.Onnx.Exporter.Quantization;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>How far quantized matrices are from their sources, collected from several threads.</summary>
internal sealed class QuantizationErrors
{
    private readonly ConcurrentDictionary<string, QuantizationError> errors = [];

    /// <summary>Keeps the error of a whole matrix.</summary>
    public void Add(string matrix, QuantizationError error) => errors[matrix] = error;

    /// <summary>By matrix, the square root of the squared error over the squared values.</summary>
    public IReadOnlyDictionary<string, double> Relative() =>
        errors.ToDictionary(error => error.Key, error => error.Value.Relative);
}
