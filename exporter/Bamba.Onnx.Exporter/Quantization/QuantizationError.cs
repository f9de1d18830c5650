namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>How far quantized values are from the true ones.</summary>
/// <param name="SquaredError">The sum of squared differences, weighed where channels have weights.</param>
/// <param name="SquaredValues">The sum of the true values' squares, weighed likewise.</param>
internal readonly record struct QuantizationError(double SquaredError, double SquaredValues)
{
    /// <summary>The root of error over values; 0 where all values are zero.</summary>
    public double Relative => SquaredValues == 0 ? 0 : Math.Sqrt(SquaredError / SquaredValues);

    /// <summary>The error of two parts together.</summary>
    public static QuantizationError operator +(QuantizationError left, QuantizationError right) =>
        new(left.SquaredError + right.SquaredError, left.SquaredValues + right.SquaredValues);
}
