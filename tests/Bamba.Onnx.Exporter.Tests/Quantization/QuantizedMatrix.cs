using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

/// <summary>A matrix in few bits, rows one after the other as in a weights file, with the values that it stands for.</summary>
internal sealed class QuantizedMatrix
{
    public QuantizedMatrix(
        WeightQuantization format,
        float[] values,
        int columns,
        ElementType scaleType = ElementType.Float32,
        float[]? channelWeights = null
    )
    {
        var quantizer = new RowQuantizer(format, scaleType, columns, channelWeights);
        Rows = values.Length / columns;
        Groups = quantizer.Groups;
        Codes = new byte[Rows * quantizer.CodeBytes];
        Scales = new byte[Rows * quantizer.ScaleBytes];
        ZeroPoints = new byte[Rows * quantizer.ZeroPointBytes];
        Values = new float[values.Length];
        for (int row = 0; row < Rows; row++)
        {
            Span<byte> codes = Codes.AsSpan(row * quantizer.CodeBytes, quantizer.CodeBytes);
            Span<byte> scales = Scales.AsSpan(row * quantizer.ScaleBytes, quantizer.ScaleBytes);
            Span<byte> zeroPoints = ZeroPoints.AsSpan(row * quantizer.ZeroPointBytes, quantizer.ZeroPointBytes);
            Error += quantizer.Quantize(values.AsSpan(row * columns, columns), codes, scales, zeroPoints);
            quantizer.Dequantize(codes, scales, zeroPoints, Values.AsSpan(row * columns, columns));
        }
    }

    public int Rows { get; }

    public int Groups { get; }

    public byte[] Codes { get; }

    public byte[] Scales { get; }

    public byte[] ZeroPoints { get; }

    /// <summary>[rows, columns] what the quantized weights stand for.</summary>
    public float[] Values { get; }

    /// <summary>What the quantizer says of the loss.</summary>
    public QuantizationError Error { get; }

    /// <summary>The sum of squared differences from the true values.</summary>
    public double SquaredError(float[] values, float[]? channelWeights = null) =>
        values
            .Zip(Values, (expected, found) => (double)expected - found)
            .Select((difference, i) => difference * difference * (channelWeights?[i % channelWeights.Length] ?? 1))
            .Sum();
}
