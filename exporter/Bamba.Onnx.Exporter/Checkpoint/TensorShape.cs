using System.Collections.Immutable;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>Sizes of a tensor, outermost first.</summary>
internal static class TensorShape
{
    /// <summary>The product of the sizes: 1 for a scalar, 0 if any size is.</summary>
    /// <exception cref="OverflowException">The product does not fit 64 bits.</exception>
    public static long Elements(ImmutableArray<long> shape)
    {
        if (shape.Contains(0))
        {
            return 0;
        }
        long elements = 1;
        foreach (long size in shape)
        {
            elements = checked(elements * size);
        }
        return elements;
    }

    /// <summary>The sizes as messages show them.</summary>
    public static string Text(ImmutableArray<long> shape) => $"[{string.Join(", ", shape)}]";
}
