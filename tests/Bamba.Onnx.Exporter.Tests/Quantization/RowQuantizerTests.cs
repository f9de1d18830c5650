using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

public sealed class RowQuantizerTests
{
    public static MatrixTheoryData<int, int, ZeroPoints> Formats =>
        new([4, 8], [32, 64, 128], [ZeroPoints.None, ZeroPoints.Integer, ZeroPoints.Float]);

    [Theory]
    [MemberData(nameof(Formats))]
    public void Every_weight_comes_back_within_half_a_step_of_its_group(int bits, int groupSize, ZeroPoints zeroPoints)
    {
        var row = new QuantizedRow(Format(bits, groupSize, zeroPoints), ElementType.Float32, Normal(300, seed: 1));
        for (int group = 0; group < row.Scales.Length; group++)
        {
            // Without zero points the extreme on one side has code 0 and the other side ends one code earlier.
            double step = Math.Abs(row.Scales[group]) * (zeroPoints == ZeroPoints.None ? 1.001 : 0.501);
            for (int i = group * groupSize; i < Math.Min(300, (group + 1) * groupSize); i++)
            {
                Assert.InRange(Math.Abs(row.Values[i] - row.Source[i]), 0, step);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void The_error_told_is_that_of_the_values_that_come_back(int bits, int groupSize, ZeroPoints zeroPoints)
    {
        foreach (
            QuantizationMethod method in (QuantizationMethod[])[QuantizationMethod.Nearest, QuantizationMethod.Search]
        )
        {
            var row = new QuantizedRow(
                Format(bits, groupSize, zeroPoints) with
                {
                    Method = method,
                },
                ElementType.Float32,
                Normal(300, seed: 2)
            );
            double error = row.SquaredError;
            Assert.InRange(row.Error.SquaredError, error * 0.999, error * 1.001);
            double squares = row.Source.Sum(value => (double)value * value);
            Assert.InRange(row.Error.SquaredValues, squares * 0.999, squares * 1.001);
        }
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void A_search_is_never_worse_than_the_nearest(int bits, int groupSize, ZeroPoints zeroPoints)
    {
        WeightQuantization format = Format(bits, groupSize, zeroPoints);
        for (int seed = 0; seed < 40; seed++)
        {
            float[] weights = Odd(groupSize, seed);
            double nearest = new QuantizedRow(format, ElementType.Float32, weights).SquaredError;
            double searched = new QuantizedRow(Searched(format), ElementType.Float32, weights).SquaredError;
            Assert.True(searched <= nearest * 1.00001, $"seed {seed}: {searched} is more than {nearest}");
        }
    }

    [Theory]
    [InlineData(32, ZeroPoints.None, 0.90)]
    [InlineData(128, ZeroPoints.None, 0.90)]
    [InlineData(32, ZeroPoints.Integer, 0.94)]
    [InlineData(128, ZeroPoints.Integer, 0.96)]
    [InlineData(32, ZeroPoints.Float, 0.82)]
    [InlineData(128, ZeroPoints.Float, 0.88)]
    public void A_search_takes_a_share_of_the_squared_error_of_normal_weights(
        int groupSize,
        ZeroPoints zeroPoints,
        double share
    )
    {
        WeightQuantization format = Format(4, groupSize, zeroPoints);
        float[] weights = Normal(128 * 200, seed: 3);
        double nearest = new QuantizedRow(format, ElementType.Float32, weights).SquaredError;
        double searched = new QuantizedRow(Searched(format), ElementType.Float32, weights).SquaredError;
        Assert.InRange(searched / nearest, 0.5, share);
    }

    [Fact]
    public void Errors_of_channels_that_count_more_are_smaller()
    {
        float[] weights = Normal(128 * 50, seed: 4);
        float[] channels = [.. weights.Select((_, i) => i % 8 == 0 ? 100f : 1f)];
        WeightQuantization format = Searched(Format(4, 128, ZeroPoints.None));
        var alike = new QuantizedRow(format, ElementType.Float32, weights);
        var weighed = new QuantizedRow(format, ElementType.Float32, weights, channels);
        Assert.True(weighed.WeighedError(channels) < 0.9 * alike.WeighedError(channels));
        Assert.True(weighed.SquaredError > alike.SquaredError);
    }

    // get_groupwise_affine_qparams of torchao with n_bit = 4: scale = (max - min) / 15, zero = min + 8 · scale, and what codes q
    // stand for is (q - 8) · scale + zero.
    [Fact]
    public void Float_zero_points_give_the_values_of_torchao()
    {
        float[] weights = [.. Enumerable.Range(0, 32).Select(i => 0.25f + (0.125f * (i % 16)))];
        weights[5] = 0.9f;
        var row = new QuantizedRow(Format(4, 32, ZeroPoints.Float), ElementType.Float32, weights);
        const float Scale = 0.125f;
        const float Zero = 0.25f + (8 * Scale);
        Assert.Equal([Scale], row.Scales);
        Assert.Equal([8 - (Zero / Scale)], row.ZeroPoints);
        Assert.Equal(weights.Select((_, i) => ((i % 16) - 8) * Scale + Zero), row.Values);
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void Groups_of_zeros_and_of_one_value_come_back_as_they_were(int bits, int groupSize, ZeroPoints zeroPoints)
    {
        foreach (float value in (float[])[0, 1, -3, 0.1f])
        {
            float[] weights = [.. Enumerable.Repeat(value, groupSize)];
            foreach (
                WeightQuantization format in (WeightQuantization[])
                    [Format(bits, groupSize, zeroPoints), Searched(Format(bits, groupSize, zeroPoints))]
            )
            {
                var row = new QuantizedRow(format, ElementType.Float32, weights);
                Assert.All(
                    row.Values,
                    found => Assert.InRange(found - value, -1e-6 * Math.Abs(value), 1e-6 * Math.Abs(value))
                );
            }
        }
    }

    [Theory]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Codes_suit_scales_as_they_are_stored(ElementType scaleType)
    {
        float[] weights = Normal(128 * 20, seed: 5);
        foreach (ZeroPoints zeroPoints in Enum.GetValues<ZeroPoints>())
        {
            WeightQuantization format = Searched(Format(4, 32, zeroPoints));
            double exact = new QuantizedRow(format, ElementType.Float32, weights).SquaredError;
            double stored = new QuantizedRow(format, scaleType, weights).SquaredError;
            Assert.InRange(stored / exact, 0.99, scaleType == ElementType.Float16 ? 1.01 : 1.05);
        }
    }

    [Fact]
    public void Weights_too_small_for_a_scale_of_float16_become_zeros()
    {
        float[] weights = [.. Enumerable.Range(0, 32).Select(i => 1e-8f * i)];
        foreach (ZeroPoints zeroPoints in Enum.GetValues<ZeroPoints>())
        {
            var row = new QuantizedRow(Searched(Format(4, 32, zeroPoints)), ElementType.Float16, weights);
            Assert.All(row.Values, value => Assert.InRange(value, -1e-6, 1e-6));
        }
    }

    [Fact]
    public void A_short_last_group_is_filled_up_with_codes_for_zero()
    {
        var row = new QuantizedRow(Format(4, 32, ZeroPoints.None), ElementType.Float32, Normal(37, seed: 6));
        Assert.Equal(2 * 16, row.Codes.Length);
        // The sixth code of the last group is the upper half of its third byte.
        Assert.Equal(8, row.Codes[16 + 2] >> 4);
        Assert.All(row.Codes[(16 + 3)..], code => Assert.Equal(0x88, code));
    }

    private static WeightQuantization Format(int bits, int groupSize, ZeroPoints zeroPoints) =>
        new()
        {
            Bits = bits,
            GroupSize = groupSize,
            ZeroPoints = zeroPoints,
        };

    private static WeightQuantization Searched(WeightQuantization format) =>
        format with
        {
            Method = QuantizationMethod.Search,
        };

    private static float[] Normal(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)NextNormal(random))];
    }

    /// <summary>Weights of one sign, with heavy tails or with one far from all others, by turns.</summary>
    private static float[] Odd(int count, int seed)
    {
        float[] weights = Normal(count, seed);
        switch (seed % 4)
        {
            case 1:
                return [.. weights.Select(value => 3 + value)];
            case 2:
                return [.. weights.Select(value => value * value * value)];
            case 3:
                weights[seed % count] = 50;
                return weights;
            default:
                return weights;
        }
    }

    private static double NextNormal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}

/// <summary>A row, quantized and taken back.</summary>
internal sealed class QuantizedRow
{
    public QuantizedRow(WeightQuantization format, ElementType scaleType, float[] source, float[]? channels = null)
    {
        Source = source;
        var quantizer = new RowQuantizer(format, scaleType, source.Length, channels);
        Codes = new byte[quantizer.CodeBytes];
        byte[] scales = new byte[quantizer.ScaleBytes];
        byte[] zeroPoints = new byte[quantizer.ZeroPointBytes];
        Values = new float[source.Length];
        Error = quantizer.Quantize(source, Codes, scales, zeroPoints);
        quantizer.Dequantize(Codes, scales, zeroPoints, Values);
        if (scaleType == ElementType.Float32)
        {
            Scales = MemoryMarshal.Cast<byte, float>(scales).ToArray();
            ZeroPoints =
                format.ZeroPoints == Contract.ZeroPoints.Float
                    ? MemoryMarshal.Cast<byte, float>(zeroPoints).ToArray()
                    : [];
        }
    }

    public float[] Source { get; }
    public byte[] Codes { get; }
    public float[] Scales { get; } = [];
    public float[] ZeroPoints { get; } = [];
    public float[] Values { get; }
    public QuantizationError Error { get; }

    public double SquaredError => WeighedError([.. Source.Select(_ => 1f)]);

    public double WeighedError(float[] channels) =>
        Values.Select((value, i) => channels[i] * Math.Pow((double)value - Source[i], 2)).Sum();
}
