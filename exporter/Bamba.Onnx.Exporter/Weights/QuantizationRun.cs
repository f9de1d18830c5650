using System.Collections.Concurrent;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>What the quantization of a checkpoint knows of its activations, and how far from their sources its matrices come out.</summary>
/// <param name="meanSquares">By the name of a linear layer's weight, the mean square of each input channel; may be empty.</param>
internal sealed class QuantizationRun(IReadOnlyDictionary<string, float[]> meanSquares)
{
    private readonly ConcurrentDictionary<string, double> errors = [];

    /// <summary>What the squared errors of a matrix' columns count; null where all count the same.</summary>
    public float[]? ChannelsOf(QuantizedRows rows) =>
        // Matrices that are computed as one have the same input.
        rows.Format.Method == QuantizationMethod.Activation
            ? meanSquares.GetValueOrDefault(rows.Tensors[0])
            : null;

    /// <summary>Keeps the error of a whole matrix; from any thread.</summary>
    public void Add(QuantizedRows rows, QuantizationError error) => errors[rows.Name] = error.Relative;

    /// <summary>Takes over the errors of matrices that were quantized before.</summary>
    public void Add(IReadOnlyDictionary<string, double> relativeErrors)
    {
        foreach ((string matrix, double error) in relativeErrors)
        {
            errors[matrix] = error;
        }
    }

    /// <summary>By matrix, the root of the squared error over the squared values.</summary>
    public IReadOnlyDictionary<string, double> RelativeErrors() => errors.ToDictionary();
}
