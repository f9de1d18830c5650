using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

/// <summary>Zero points of <see cref="QuantizationMethod.Hqq"/>, against the published iteration in plain float64.</summary>
public sealed class HalfQuadraticTests
{
    private const int Columns = 200;
    private const int Rows = 20;

    /// <summary>Group sizes, and what weights are multiplied by: errors of small ones shrink to nothing, those of large ones hardly.</summary>
    [Theory]
    [InlineData(32, 0.02f)]
    [InlineData(32, 1f)]
    [InlineData(64, 5f)]
    [InlineData(128, 300f)]
    public void Zero_points_are_those_of_the_iteration(int groupSize, float deviation)
    {
        WeightQuantization format = Format(groupSize, ZeroPoints.Float);
        float[] values = [.. RandomWeights.Of("heavy tails", Rows * Columns).Select(value => value * deviation)];
        var matrix = new QuantizedMatrix(format, values, Columns);
        var extremes = new QuantizedMatrix(format with { Method = QuantizationMethod.Nearest }, values, Columns);
        float[] scales = Floats(matrix.Scales);
        Assert.Equal(Floats(extremes.Scales), scales);
        float[] found = Floats(matrix.ZeroPoints);
        float[] starts = Floats(extremes.ZeroPoints);
        int agreeing = 0;
        (double errors, double errorsOfIteration) = (0, 0);
        for (int i = 0; i < found.Length; i++)
        {
            (int row, int group) = Math.DivRem(i, matrix.Groups);
            int start = group * groupSize;
            double[] weights =
            [
                .. values
                    .Skip((row * Columns) + start)
                    .Take(Math.Min(groupSize, Columns - start))
                    .Select(v => (double)v),
            ];
            double zero = Iterate(weights, scales[i], starts[i]);
            agreeing += Math.Abs(zero - found[i]) < 1e-3 ? 1 : 0;
            errors += ErrorOf(weights, scales[i], found[i]);
            errorsOfIteration += ErrorOf(weights, scales[i], zero);
        }
        // Where two rounds are as good, rounding decides which is the last.
        Assert.InRange(agreeing, 0.85 * found.Length, found.Length);
        Assert.InRange(errors / errorsOfIteration, 0.999, 1.001);
    }

    [Theory]
    [InlineData(ZeroPoints.Integer)]
    [InlineData(ZeroPoints.Float)]
    public void Magnitudes_of_errors_are_less_than_those_of_extremes(ZeroPoints zeroPoints)
    {
        WeightQuantization format = Format(64, zeroPoints);
        float[] values = [.. RandomWeights.Of("heavy tails", 64 * 512).Select(value => value * 0.02f)];
        var matrix = new QuantizedMatrix(format, values, 512);
        var extremes = new QuantizedMatrix(format with { Method = QuantizationMethod.Nearest }, values, 512);
        Assert.InRange(ErrorOf(matrix) / ErrorOf(extremes), 0.5, zeroPoints == ZeroPoints.Float ? 0.995 : 1);

        double ErrorOf(QuantizedMatrix found) => values.Zip(found.Values, (a, b) => Math.Abs((double)a - b)).Sum();
    }

    [Fact]
    public void Groups_of_one_value_and_of_zeros_are_as_they_were()
    {
        float[] values = [.. Enumerable.Repeat(0f, 32), .. Enumerable.Repeat(-0.3f, 32)];
        var matrix = new QuantizedMatrix(Format(32, ZeroPoints.Float), values, 64);
        Assert.Equal(values, matrix.Values);
    }

    private static WeightQuantization Format(int groupSize, ZeroPoints zeroPoints) =>
        new()
        {
            Bits = 4,
            GroupSize = groupSize,
            ZeroPoints = zeroPoints,
            Method = QuantizationMethod.Hqq,
        };

    private static double Iterate(double[] weights, double scale, double start)
    {
        const double P = 0.6875;
        double penalty = 10;
        (double zero, double best, double least) = (start, start, double.PositiveInfinity);
        for (int round = 0; round < 20; round++)
        {
            double[] codes = [.. weights.Select(w => Math.Clamp(Math.Round((w / scale) + zero), 0, 15))];
            double[] rests = [.. weights.Zip(codes, (w, code) => w - ((code - zero) * scale))];
            double error = rests.Sum(Math.Abs);
            if (error >= least)
            {
                break;
            }
            (least, best) = (error, zero);
            zero = Enumerable
                .Range(0, weights.Length)
                .Average(i => codes[i] - ((weights[i] - Shrink(rests[i], penalty, P)) / scale));
            penalty *= 1.01;
        }
        return best;
    }

    private static double ErrorOf(double[] weights, double scale, double zero) =>
        weights.Sum(w => Math.Abs(w - ((Math.Clamp(Math.Round((w / scale) + zero), 0, 15) - zero) * scale)));

    private static double Shrink(double value, double penalty, double p) =>
        value == 0 ? 0 : Math.Sign(value) * Math.Max(Math.Abs(value) - (Math.Pow(Math.Abs(value), p - 1) / penalty), 0);

    private static float[] Floats(byte[] bytes) => MemoryMarshal.Cast<byte, float>(bytes).ToArray();
}
