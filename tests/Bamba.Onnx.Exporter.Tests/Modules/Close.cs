using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>Comparison of tensors, with a message that shows how far they are apart.</summary>
internal static class Close
{
    /// <summary>What the product is held to, absolute.</summary>
    public const double Tolerance = 1e-4;

    public static void To(Tensor expected, Tensor actual, double tolerance = Tolerance, string? what = null)
    {
        Assert.Equal(expected.shape, actual.shape);
        double distance = Distance(expected, actual);
        // Written so that NaN fails.
        Assert.True(
            distance <= tolerance,
            $"{what ?? "tensor"}: largest difference {distance:g3}, allowed {tolerance:g3}"
        );
    }

    public static double Distance(Tensor expected, Tensor actual) =>
        expected.numel() == 0 ? 0 : (expected.to_type(ScalarType.Float64) - actual).abs().max().item<double>();
}
