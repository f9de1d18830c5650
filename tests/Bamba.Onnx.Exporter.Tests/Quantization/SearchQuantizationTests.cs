using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

public sealed class SearchQuantizationTests
{
    private const int Groups = 200;

    public static TheoryData<int, int, ZeroPoints, ElementType> Formats()
    {
        var formats = new TheoryData<int, int, ZeroPoints, ElementType>();
        foreach (int bits in (int[])[4, 8])
        {
            foreach (int groupSize in (int[])[32, 64, 128])
            {
                foreach (ZeroPoints zeroPoints in Enum.GetValues<ZeroPoints>())
                {
                    formats.Add(bits, groupSize, zeroPoints, ElementType.Float32);
                    formats.Add(bits, groupSize, zeroPoints, ElementType.Float16);
                    formats.Add(bits, groupSize, zeroPoints, ElementType.BFloat16);
                }
            }
        }
        return formats;
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void No_group_loses_more_than_with_the_nearest_codes(
        int bits,
        int groupSize,
        ZeroPoints zeroPoints,
        ElementType scaleType
    )
    {
        WeightQuantization nearest = Format(bits, groupSize, zeroPoints, QuantizationMethod.Nearest);
        WeightQuantization search = nearest with { Method = QuantizationMethod.Search };
        foreach (string kind in (string[])["normal", "heavy tails", "one outlier", "positive", "negative", "sparse"])
        {
            for (int seed = 0; seed < 20; seed++)
            {
                float[] values = RandomWeights.Of(kind, groupSize, seed);

                double found = new QuantizedMatrix(search, values, groupSize, scaleType).SquaredError(values);
                double bound = new QuantizedMatrix(nearest, values, groupSize, scaleType).SquaredError(values);

                // Errors are compared in float32.
                Assert.True(found <= bound * 1.0001, $"{kind}, seed {seed}: {found} > {bound}");
            }
        }
    }

    // A little above what was measured.
    [Theory]
    [InlineData(4, 32, ZeroPoints.None, 0.90)]
    [InlineData(4, 64, ZeroPoints.None, 0.905)]
    [InlineData(4, 128, ZeroPoints.None, 0.89)]
    [InlineData(4, 32, ZeroPoints.Integer, 0.91)]
    [InlineData(4, 64, ZeroPoints.Integer, 0.925)]
    [InlineData(4, 128, ZeroPoints.Integer, 0.905)]
    [InlineData(4, 32, ZeroPoints.Float, 0.79)]
    [InlineData(4, 64, ZeroPoints.Float, 0.83)]
    [InlineData(4, 128, ZeroPoints.Float, 0.84)]
    [InlineData(8, 32, ZeroPoints.None, 0.84)]
    [InlineData(8, 128, ZeroPoints.Integer, 0.93)]
    [InlineData(8, 128, ZeroPoints.Float, 0.87)]
    public void Normal_weights_lose_clearly_less(int bits, int groupSize, ZeroPoints zeroPoints, double most)
    {
        float[] values = RandomWeights.Of("normal", Groups * groupSize);
        WeightQuantization nearest = Format(bits, groupSize, zeroPoints, QuantizationMethod.Nearest);
        WeightQuantization search = nearest with { Method = QuantizationMethod.Search };

        double found = new QuantizedMatrix(search, values, groupSize, ElementType.Float16).SquaredError(values);
        double bound = new QuantizedMatrix(nearest, values, groupSize, ElementType.Float16).SquaredError(values);

        Assert.InRange(found / bound, 0.5, most);
    }

    [Theory]
    [InlineData(4, ZeroPoints.None)]
    [InlineData(4, ZeroPoints.Integer)]
    [InlineData(4, ZeroPoints.Float)]
    [InlineData(8, ZeroPoints.Integer)]
    public void Channel_weights_lower_the_weighed_error_and_raise_the_plain_one(int bits, ZeroPoints zeroPoints)
    {
        const int Columns = 256;
        float[] values = RandomWeights.Of("normal", 50 * Columns);
        var random = new Random(2);
        float[] channelWeights =
        [
            .. Enumerable.Range(0, Columns).Select(_ => 3e4f * MathF.Pow(random.NextSingle(), 8)),
        ];
        WeightQuantization plain = Format(bits, 64, zeroPoints, QuantizationMethod.Search);
        WeightQuantization weighed = plain with { Method = QuantizationMethod.Activation };

        var withWeights = new QuantizedMatrix(weighed, values, Columns, ElementType.Float16, channelWeights);
        var without = new QuantizedMatrix(plain, values, Columns, ElementType.Float16);

        double weighedError = withWeights.SquaredError(values, channelWeights);
        Assert.InRange(weighedError / without.SquaredError(values, channelWeights), 0, 0.9);
        Assert.True(withWeights.SquaredError(values) > without.SquaredError(values));
        Assert.Equal(1, withWeights.Error.SquaredError / weighedError, 1e-3);
    }

    [Fact]
    public void Channels_that_all_count_the_same_or_nothing_change_no_code()
    {
        const int Columns = 128;
        float[] values = RandomWeights.Of("heavy tails", 10 * Columns);
        WeightQuantization plain = Format(4, 32, ZeroPoints.Integer, QuantizationMethod.Search);
        WeightQuantization weighed = plain with { Method = QuantizationMethod.Activation };
        byte[] expected = new QuantizedMatrix(plain, values, Columns).Codes;

        Assert.Equal(expected, new QuantizedMatrix(weighed, values, Columns).Codes);
        foreach (float weight in (float[])[7, 0])
        {
            float[] channelWeights = [.. Enumerable.Repeat(weight, Columns)];
            var matrix = new QuantizedMatrix(weighed, values, Columns, ElementType.Float32, channelWeights);
            Assert.Equal(expected, matrix.Codes);
            Assert.Equal(weight == 0, matrix.Error.SquaredError == 0);
        }
    }

    [Theory]
    [InlineData(QuantizationMethod.Activation, 64, -1f)]
    [InlineData(QuantizationMethod.Activation, 64, float.NaN)]
    [InlineData(QuantizationMethod.Activation, 64, float.PositiveInfinity)]
    [InlineData(QuantizationMethod.Activation, 63, 1f)]
    [InlineData(QuantizationMethod.Search, 64, 1f)]
    public void Channel_weights_that_cannot_be_are_refused(QuantizationMethod method, int count, float weight)
    {
        WeightQuantization format = Format(4, 32, ZeroPoints.None, method);
        float[] channelWeights = [.. Enumerable.Repeat(1f, count - 1), weight];

        Assert.Throws<ArgumentException>(() =>
            new QuantizedMatrix(format, new float[64], 64, ElementType.Float32, channelWeights)
        );
    }

    [Theory]
    [InlineData(1e-44f)]
    [InlineData(1e-20f)]
    [InlineData(1e37f)]
    public void Very_small_and_very_large_weights_are_searched_like_others(float unit)
    {
        float[] values = [.. RandomWeights.Of("normal", 128).Select(value => value * 50 * unit)];
        foreach (ZeroPoints zeroPoints in Enum.GetValues<ZeroPoints>())
        {
            var matrix = new QuantizedMatrix(Format(4, 128, zeroPoints, QuantizationMethod.Search), values, 128);

            Assert.All(matrix.Values, value => Assert.True(float.IsFinite(value)));
            Assert.InRange(matrix.Error.Relative, 0.01, 0.3);
        }
    }

    [Theory]
    [InlineData(ZeroPoints.None)]
    [InlineData(ZeroPoints.Integer)]
    [InlineData(ZeroPoints.Float)]
    public void Weights_of_a_short_group_are_searched_without_what_fills_it_up(ZeroPoints zeroPoints)
    {
        const int Columns = 10;
        float[] values = RandomWeights.Of("positive", 200 * Columns);
        WeightQuantization format = Format(4, 128, zeroPoints, QuantizationMethod.Search);
        WeightQuantization nearest = format with { Method = QuantizationMethod.Nearest };

        double found = new QuantizedMatrix(format, values, Columns).SquaredError(values);

        Assert.InRange(found / new QuantizedMatrix(nearest, values, Columns).SquaredError(values), 0, 0.8);
    }

    private static WeightQuantization Format(
        int bits,
        int groupSize,
        ZeroPoints zeroPoints,
        QuantizationMethod method
    ) =>
        new()
        {
            Bits = bits,
            GroupSize = groupSize,
            ZeroPoints = zeroPoints,
            Method = method,
        };
}
