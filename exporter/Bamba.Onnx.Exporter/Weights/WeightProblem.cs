using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>Errors of single values of a checkpoint.</summary>
internal static class WeightProblem
{
    /// <summary>The error that names an element of a tensor.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="element">The element's flat index in it.</param>
    /// <param name="problem">What was expected and what was found.</param>
    public static BambaFormatException At(CheckpointTensor tensor, long element, string problem) =>
        new(tensor.File, $"tensor {tensor.Name}, element {Coordinates(tensor, element)}: {problem}");

    private static string Coordinates(CheckpointTensor tensor, long element)
    {
        var coordinates = new long[tensor.Shape.Length];
        for (int axis = coordinates.Length - 1; axis >= 0; axis--)
        {
            (element, coordinates[axis]) = Math.DivRem(element, tensor.Shape[axis]);
        }
        return TensorShape.Text([.. coordinates]);
    }
}
