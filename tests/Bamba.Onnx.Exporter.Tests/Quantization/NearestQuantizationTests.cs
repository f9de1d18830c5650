using System.Buffers.Binary;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

public sealed class NearestQuantizationTests
{
    private const int Size = 32;

    [Theory]
    [InlineData(4, 8f, 0.125f)]
    [InlineData(4, -8f, -0.125f)]
    [InlineData(8, 128f, 0.0078125f)]
    [InlineData(8, -128f, -0.0078125f)]
    public void Without_zero_points_the_weight_of_greatest_magnitude_takes_the_code_0(
        int bits,
        float steps,
        float ratio
    )
    {
        float[] values = [.. Enumerable.Range(0, Size).Select(i => 0.01f * i)];
        values[7] = -steps * 0.1f;

        QuantizedMatrix matrix = Quantize(bits, ZeroPoints.None, values);

        Assert.Equal(0, Code(matrix, bits, 7));
        Assert.Equal(-values[7] * Math.Abs(ratio), Scale(matrix));
        Assert.Equal(1 << (bits - 1), Code(matrix, bits, 0));
    }

    // Codes, scale and zero point of ONNX Runtime's rule, worked out by hand: -0.5 to 1 in 15 steps of 0.1.
    [Fact]
    public void With_integer_zero_points_the_range_reaches_from_code_0_to_the_largest()
    {
        float[] values = [.. Enumerable.Range(0, Size).Select(i => (i % 16 * 0.1f) - 0.5f)];

        QuantizedMatrix matrix = Quantize(4, ZeroPoints.Integer, values);

        Assert.Equal(0.1f, Scale(matrix), 1e-7f);
        Assert.Equal(5, matrix.ZeroPoints[0]);
        Assert.Equal(
            Enumerable.Range(0, Size).Select(i => i % 16),
            Enumerable.Range(0, Size).Select(i => Code(matrix, 4, i))
        );
    }

    [Theory]
    [InlineData(0.2f, 0.9f, 0)]
    [InlineData(-0.9f, -0.2f, 15)]
    public void An_integer_zero_point_stays_a_code_where_all_weights_have_one_sign(
        float least,
        float greatest,
        int zero
    )
    {
        QuantizedMatrix matrix = Quantize(4, ZeroPoints.Integer, Between(least, greatest));

        Assert.Equal(zero, matrix.ZeroPoints[0]);
        Assert.Equal(0.06f, Scale(matrix), 1e-7f);
    }

    // Scale and zero by choose_qparams_affine_tinygemm in torchao's quant_primitives.py (4 bits: quant_min 0, quant_max 15;
    // eps 1e-6), computed apart from this code with every step rounded to float32, then z = middle - zero / scale likewise.
    [Theory]
    [InlineData(4, -0.25f, 0.5f, 0.0500000007f, 5f)]
    [InlineData(4, 0.1f, 0.4f, 0.0200000014f, -5f)]
    [InlineData(4, -0.9f, -0.3f, 0.0399999991f, 22.5f)]
    [InlineData(4, -0.0123f, 0.0456f, 0.00386000006f, 3.18652821f)]
    [InlineData(8, -0.25f, 0.5f, 0.00294117653f, 85f)]
    [InlineData(8, 0.1f, 0.4f, 0.00117647066f, -84.9999847f)]
    [InlineData(8, -0.0123f, 0.0456f, 0.00022705883f, 54.1709824f)]
    public void Float_zero_points_are_those_of_torchao(int bits, float least, float greatest, float scale, float zero)
    {
        QuantizedMatrix matrix = Quantize(bits, ZeroPoints.Float, Between(least, greatest));

        Assert.Equal(scale, Scale(matrix));
        Assert.Equal(zero, BitConverter.ToSingle(matrix.ZeroPoints));
        Assert.Equal(0, Code(matrix, bits, 0));
        Assert.Equal((1 << bits) - 1, Code(matrix, bits, Size - 1));
    }

    [Theory]
    [InlineData(4, -0.0123f, 0.0456f, 0.00386047363f, 3.1875f)]
    [InlineData(8, 0.1f, 0.4f, 0.00117492676f, -85.5f)]
    public void Float_zero_points_follow_from_the_rounded_scale(
        int bits,
        float least,
        float greatest,
        float scale,
        float zero
    )
    {
        QuantizedMatrix matrix = Quantize(bits, ZeroPoints.Float, Between(least, greatest), ElementType.BFloat16);

        Assert.Equal(scale, ScaleRounding.Read(matrix.Scales, ElementType.BFloat16));
        Assert.Equal(zero, ScaleRounding.Read(matrix.ZeroPoints, ElementType.BFloat16));
    }

    [Theory]
    [MemberData(nameof(FormatsAndTypes))]
    public void Every_weight_has_the_nearest_code_of_the_stored_grid(
        int bits,
        ZeroPoints zeroPoints,
        ElementType scaleType
    )
    {
        foreach (string kind in (string[])["normal", "heavy tails", "one outlier", "positive", "negative", "sparse"])
        {
            foreach (int groupSize in (int[])[32, 64, 128])
            {
                float[] values = RandomWeights.Of(kind, groupSize);
                WeightQuantization format = new()
                {
                    Bits = bits,
                    GroupSize = groupSize,
                    ZeroPoints = zeroPoints,
                };
                var matrix = new QuantizedMatrix(format, values, groupSize, scaleType);

                float scale = ScaleRounding.Read(matrix.Scales, scaleType);
                float zero = zeroPoints switch
                {
                    ZeroPoints.None => format.MiddleCode,
                    ZeroPoints.Integer => matrix.ZeroPoints[0],
                    _ => ScaleRounding.Read(matrix.ZeroPoints, scaleType),
                };
                double squares = 0;
                for (int i = 0; i < groupSize; i++)
                {
                    double least = Enumerable
                        .Range(0, format.LargestCode + 1)
                        .Min(code => Math.Abs(((code - zero) * scale) - values[i]));
                    double found = Math.Abs((double)matrix.Values[i] - values[i]);
                    Assert.True(
                        found <= least + (2e-5 * Math.Abs(scale)),
                        $"{kind} {groupSize}, weight {i}: {found} > {least}"
                    );
                    squares += found * found;
                }
                Assert.Equal(1, matrix.Error.SquaredError / squares, 1e-3);
                Assert.Equal(1, matrix.Error.SquaredValues / values.Sum(v => (double)v * v), 1e-5);
            }
        }
    }

    [Theory]
    [InlineData(4, ElementType.Float16)]
    [InlineData(8, ElementType.Float16)]
    [InlineData(4, ElementType.BFloat16)]
    [InlineData(8, ElementType.BFloat16)]
    public void A_narrow_group_far_from_zero_loses_no_more_than_its_type_would(int bits, ElementType scaleType)
    {
        foreach (float width in (float[])[1e-5f, 1e-3f, 1e-2f, 0.1f])
        {
            QuantizedMatrix matrix = Quantize(bits, ZeroPoints.Float, Between(3 - width, 3), scaleType);

            double tolerance = (width / ((1 << bits) - 1)) + (3 * ScaleRounding.UlpOfOne(scaleType));
            Assert.Equal(3, matrix.Values[^1], tolerance);
            Assert.Equal(3 - width, matrix.Values[0], tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(FormatsAndTypes))]
    public void A_group_of_zeros_stays_zero(int bits, ZeroPoints zeroPoints, ElementType scaleType)
    {
        QuantizedMatrix matrix = Quantize(bits, zeroPoints, new float[Size], scaleType);

        Assert.All(matrix.Values, value => Assert.Equal(0, value));
        Assert.Equal(default, matrix.Error);
        Assert.Equal(0, matrix.Error.Relative);
    }

    [Theory]
    [MemberData(nameof(FormatsAndTypes))]
    public void A_group_of_one_value_keeps_it_as_well_as_scales_can(
        int bits,
        ZeroPoints zeroPoints,
        ElementType scaleType
    )
    {
        foreach (float value in (float[])[0.3f, -0.3f, 1e-3f, -77.7f])
        {
            QuantizedMatrix matrix = Quantize(bits, zeroPoints, [.. Enumerable.Repeat(value, Size)], scaleType);

            // Half a step of the significand; of subnormal float16 scales, a step by the codes there are.
            double tolerance = Math.Max(
                Math.Abs(value) * ScaleRounding.UlpOfOne(scaleType),
                scaleType == ElementType.Float16 ? Math.Pow(2, -24) * 128 : 0
            );
            Assert.All(matrix.Values, found => Assert.Equal(value, found, tolerance));
        }
    }

    [Theory]
    [InlineData(ZeroPoints.None)]
    [InlineData(ZeroPoints.Integer)]
    [InlineData(ZeroPoints.Float)]
    public void Denormal_weights_are_as_near_as_the_least_scale_allows(ZeroPoints zeroPoints)
    {
        float[] values = [.. Enumerable.Range(0, Size).Select(i => (i - 20) * float.Epsilon)];

        QuantizedMatrix matrix = Quantize(4, zeroPoints, values);

        // The scale is three times the least number, or less.
        Assert.All(
            values.Zip(matrix.Values),
            pair => Assert.InRange(Math.Abs((pair.First - pair.Second) / float.Epsilon), 0, 2)
        );
    }

    [Theory]
    [InlineData(ZeroPoints.None)]
    [InlineData(ZeroPoints.Integer)]
    [InlineData(ZeroPoints.Float)]
    public void Scales_that_float16_would_round_to_zero_become_its_least_number(ZeroPoints zeroPoints)
    {
        float[] values = [.. Enumerable.Range(0, Size).Select(i => (i - 15) * 1e-8f)];

        QuantizedMatrix matrix = Quantize(4, zeroPoints, values, ElementType.Float16);

        Assert.Equal(Math.ScaleB(1, -24), Math.Abs(ScaleRounding.Read(matrix.Scales, ElementType.Float16)));
        Assert.All(
            values.Zip(matrix.Values),
            pair => Assert.Equal(pair.First, pair.Second, Math.ScaleB(1, -25) * 1.001)
        );
    }

    [Theory]
    [InlineData(ZeroPoints.None)]
    [InlineData(ZeroPoints.Integer)]
    [InlineData(ZeroPoints.Float)]
    public void Weights_near_the_limits_of_float32_neither_overflow_nor_vanish(ZeroPoints zeroPoints)
    {
        foreach (float unit in (float[])[float.MaxValue, 1e-30f])
        {
            float[] values = [.. RandomWeights.Of("normal", Size).Select(value => value * 10 * unit)];

            QuantizedMatrix matrix = Quantize(4, zeroPoints, values);

            Assert.All(matrix.Values, value => Assert.True(float.IsFinite(value)));
            Assert.InRange(matrix.Error.Relative, 0.01, 0.15);
        }
    }

    [Theory]
    [InlineData(ElementType.Float16, 1e6f, "bf16 or f32")]
    [InlineData(ElementType.Float16, -1e9f, "bf16 or f32")]
    public void A_scale_that_its_type_cannot_hold_is_an_error_that_names_the_column(
        ElementType type,
        float value,
        string remedy
    )
    {
        float[] values = RandomWeights.Of("normal", 3 * Size);
        values[70] = value;

        var error = Assert.Throws<UnquantizableException>(() => Quantize(4, ZeroPoints.None, values, type));

        Assert.Equal(70, error.Column);
        Assert.Contains($"does not fit {type.ShortName()}; choose {remedy}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void A_weight_that_is_not_finite_is_an_error_that_names_the_column(float value)
    {
        foreach (int column in (int[])[0, 31, 32, 95])
        {
            float[] values = RandomWeights.Of("normal", 3 * Size);
            values[column] = value;

            var error = Assert.Throws<UnquantizableException>(() => Quantize(4, ZeroPoints.Integer, values));

            Assert.Equal(column, error.Column);
            Assert.Contains("expected a finite value", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(ZeroPoints.None, 8)]
    [InlineData(ZeroPoints.Integer, 3)]
    [InlineData(ZeroPoints.Float, 3)]
    public void A_short_group_is_filled_up_with_the_code_for_zero(ZeroPoints zeroPoints, int expected)
    {
        float[] values = [.. Enumerable.Range(0, 20).Select(i => i == 0 ? -0.3f : i * 1.2f / 19)];

        QuantizedMatrix matrix = Quantize(4, zeroPoints, values);

        Assert.Equal(16, matrix.Codes.Length);
        Assert.All(Enumerable.Range(20, 12), i => Assert.Equal(expected, Code(matrix, 4, i)));
    }

    [Theory]
    [InlineData(3, 32)]
    [InlineData(4, 16)]
    [InlineData(8, 256)]
    public void Formats_that_there_are_not_are_refused(int bits, int groupSize)
    {
        WeightQuantization format = new() { Bits = bits, GroupSize = groupSize };

        Assert.Throws<ArgumentException>(() => new RowQuantizer(format, ElementType.Float32, 64));
    }

    public static TheoryData<int, ZeroPoints, ElementType> FormatsAndTypes()
    {
        var data = new TheoryData<int, ZeroPoints, ElementType>();
        foreach (int bits in (int[])[4, 8])
        {
            foreach (ZeroPoints zeroPoints in Enum.GetValues<ZeroPoints>())
            {
                data.Add(bits, zeroPoints, ElementType.Float32);
                data.Add(bits, zeroPoints, ElementType.Float16);
                data.Add(bits, zeroPoints, ElementType.BFloat16);
            }
        }
        return data;
    }

    private static QuantizedMatrix Quantize(
        int bits,
        ZeroPoints zeroPoints,
        float[] values,
        ElementType scaleType = ElementType.Float32
    ) =>
        new(
            new WeightQuantization
            {
                Bits = bits,
                GroupSize = Size,
                ZeroPoints = zeroPoints,
            },
            values,
            values.Length,
            scaleType
        );

    private static float[] Between(float least, float greatest) =>
        [
            .. Enumerable
                .Range(0, Size)
                .Select(i =>
                    i == 0 ? least
                    : i == Size - 1 ? greatest
                    : (least + greatest) / 2
                ),
        ];

    private static int Code(QuantizedMatrix matrix, int bits, int index) =>
        bits == 8 ? matrix.Codes[index] : (matrix.Codes[index / 2] >> (index % 2 * 4)) & 15;

    private static float Scale(QuantizedMatrix matrix) => BinaryPrimitives.ReadSingleLittleEndian(matrix.Scales);
}
