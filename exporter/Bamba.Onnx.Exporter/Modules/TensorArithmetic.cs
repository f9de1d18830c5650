using TorchSharp;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// Sums and fillings whose numbers outlive the call. TorchSharp's own pass a fresh <see cref="Scalar"/>, a sum of tensors too (the
/// factor of the second), and nothing holds it while the native call reads it: a collection at that moment frees it.
/// </summary>
internal static class TensorArithmetic
{
    private static readonly Scalar one = 1;
    private static readonly Scalar minusOne = -1;

    /// <summary>left + right.</summary>
    public static Tensor Plus(this Tensor left, Tensor right) => left.add(right, one);

    /// <summary>left − right.</summary>
    public static Tensor Minus(this Tensor left, Tensor right) => left.add(right, minusOne);

    /// <summary>Each number and another.</summary>
    public static Tensor Plus(this Tensor tensor, double number) => Add(tensor, number);

    /// <inheritdoc cref="Plus(Tensor, double)"/>
    public static Tensor Plus(this Tensor tensor, long number) => Add(tensor, number);

    /// <summary>A number where the mask is true.</summary>
    public static Tensor Fill(this Tensor tensor, Tensor mask, Scalar number)
    {
        using (number)
        {
            return tensor.masked_fill(mask, number);
        }
    }

    private static Tensor Add(Tensor tensor, Scalar number)
    {
        using (number)
        {
            return tensor.add(number);
        }
    }
}
