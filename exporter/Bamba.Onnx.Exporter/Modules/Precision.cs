using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>The type of what must not be rounded to 16 bits: time steps, decays, states, norms, probabilities, losses.</summary>
internal static class Precision
{
    /// <summary>A tensor in float32, or as it is in float64.</summary>
    public static Tensor Widen(this Tensor tensor) =>
        tensor.dtype == ScalarType.Float64 ? tensor.alias() : tensor.to_type(ScalarType.Float32);
}
