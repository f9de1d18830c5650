using System.Globalization;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Cli;

/// <summary>What there is to say in a line of matrices with few bits.</summary>
internal static class QuantizationSummary
{
    /// <summary>Matrices by format, as "130 matrices in 4 bits, groups of 128"; null where none has fewer bits.</summary>
    public static string? Of(ModelManifest manifest) =>
        manifest.Quantization is { } matrices
            ? string.Join(
                "; ",
                matrices
                    .GroupBy(matrix => Describe(matrix.Format))
                    .Select(group => $"{Count(group.Count())} in {group.Key}")
            )
            : null;

    /// <summary>The mean of their relative errors; null where there are none, or no weights.</summary>
    public static double? MeanRelativeError(ModelManifest manifest) =>
        manifest.Quantization?.Average(matrix => matrix.RelativeError);

    private static string Count(int matrices) =>
        matrices == 1 ? "1 matrix" : string.Create(CultureInfo.InvariantCulture, $"{matrices} matrices");

    /// <summary>A format, as "4 bits, groups of 128".</summary>
    public static string Describe(WeightQuantization format)
    {
        string zeroPoints = format.ZeroPoints switch
        {
            ZeroPoints.Integer => " with zero points",
            ZeroPoints.Float => " with float zero points",
            _ => "",
        };
        string scales = format.Scales is { } type ? $", scales of {type.ShortName()}" : "";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{format.Bits} bits, groups of {format.GroupSize}{zeroPoints}{scales}"
        );
    }
}
