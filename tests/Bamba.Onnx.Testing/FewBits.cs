using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;

namespace Bamba.Onnx.Testing;

/// <summary>Quantizations as tests of many forms of a model name them: by the bits of every matrix.</summary>
public static class FewBits
{
    /// <summary>Every matrix in codes of so many bits; null for none.</summary>
    /// <param name="bits">Bits of a code; null for the export's element type.</param>
    /// <param name="groupSize">Weights that share a scale.</param>
    /// <param name="zeroPoints">The groups' zero points.</param>
    public static QuantizationOptions? Of(int? bits, int groupSize = 32, ZeroPoints zeroPoints = ZeroPoints.None) =>
        bits is { } few
            ? QuantizationOptions.Of(
                new WeightQuantization
                {
                    Bits = few,
                    GroupSize = groupSize,
                    ZeroPoints = zeroPoints,
                }
            )
            : null;
}
