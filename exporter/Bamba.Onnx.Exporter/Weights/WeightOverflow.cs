using System.Globalization;
using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>The error for a finite value that would become infinite in the type it is written as.</summary>
internal static class WeightOverflow
{
    /// <summary>The error for an element of a checkpoint tensor.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="element">The element's flat index in the tensor.</param>
    /// <param name="tile">Elements of the tensor, as the checkpoint has them.</param>
    /// <param name="indexInTile">The element's index among those.</param>
    /// <param name="type">The type that is too narrow.</param>
    public static BambaFormatException Error(
        CheckpointTensor tensor,
        long element,
        ReadOnlySpan<byte> tile,
        int indexInTile,
        ElementType type
    )
    {
        int size = tensor.Type.SizeInBytes();
        float value = 0;
        ElementConversion.TryConvert(
            tile.Slice(indexInTile * size, size),
            tensor.Type,
            MemoryMarshal.AsBytes(new Span<float>(ref value)),
            ElementType.Float32,
            out _
        );
        return WeightProblem.At(tensor, element, Describe(value, type));
    }

    /// <summary>What is wrong with a value, and what to do.</summary>
    public static string Describe(float value, ElementType type)
    {
        (string largest, string remedy) =
            type == ElementType.Float16 ? ("65504", "bf16 or f32") : ("3.3895314E+38", "f32");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{value} does not fit {type.ShortName()}, whose largest value is {largest}; choose {remedy}"
        );
    }
}
