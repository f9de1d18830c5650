namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>How far quantized values are from their sources. Errors of parts add up to that of the whole.</summary>
/// <param name="SquaredError">The sum of squared differences.</param>
/// <param name="SquaredValues">The sum of squares of the sources.</param>
internal readonly record struct QuantizationError(double SquaredError, double SquaredValues)
{
    /// <summary>The root of the squared error over the squared values; 0 where all values are.</summary>
    public double Relative => SquaredValues == 0 ? 0 : Math.Sqrt(SquaredError / SquaredValues);

    public static QuantizationError operator +(QuantizationError left, QuantizationError right) =>
        new(left.SquaredError + right.SquaredError, left.SquaredValues + right.SquaredValues);
}
