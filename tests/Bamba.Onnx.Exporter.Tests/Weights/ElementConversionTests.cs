using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Weights;

namespace Bamba.Onnx.Exporter.Tests.Weights;

public sealed class ElementConversionTests
{
    private static readonly ushort[] AllBits = [.. Enumerable.Range(0, 1 << 16).Select(bits => (ushort)bits)];

    [Fact]
    public void Every_float16_becomes_the_float32_of_its_value() => AssertWidened(ElementType.Float16, Half16);

    [Fact]
    public void Every_bfloat16_becomes_the_float32_of_its_value() => AssertWidened(ElementType.BFloat16, BFloat16);

    [Fact]
    public void Every_float16_becomes_the_nearest_bfloat16() =>
        AssertNearest(AllBits, ElementType.Float16, ElementType.BFloat16, Half16, BFloat16);

    [Fact]
    public void Every_bfloat16_that_fits_becomes_the_nearest_float16() =>
        AssertNearest(
            [.. AllBits.Where(bits => !float.IsFinite(BFloat16(bits)) || MathF.Abs(BFloat16(bits)) < 65520)],
            ElementType.BFloat16,
            ElementType.Float16,
            BFloat16,
            Half16
        );

    [Theory]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Float32_of_every_kind_becomes_the_nearest_16_bit_value(ElementType to)
    {
        Func<ushort, float> valueOf = to == ElementType.Float16 ? Half16 : BFloat16;
        float[] source = [.. EdgeCases(valueOf).Concat(RandomBits(500_000)).Where(value => !Overflows(value, to))];

        ushort[] converted = Convert<float, ushort>(source, ElementType.Float32, to);

        Func<float, ushort> nearest = Nearest(valueOf);
        for (int i = 0; i < source.Length; i++)
        {
            AssertSame(nearest(source[i]), converted[i], valueOf, $"{BitConverter.SingleToUInt32Bits(source[i]):X8}");
        }
    }

    [Theory]
    [InlineData(65519.996f, ElementType.Float16, false)]
    [InlineData(65520f, ElementType.Float16, true)]
    [InlineData(-65520f, ElementType.Float16, true)]
    [InlineData(1e30f, ElementType.Float16, true)]
    [InlineData(float.PositiveInfinity, ElementType.Float16, false)]
    [InlineData(float.NegativeInfinity, ElementType.Float16, false)]
    [InlineData(float.NaN, ElementType.Float16, false)]
    [InlineData(3.3961775e38f, ElementType.BFloat16, true)]
    [InlineData(3.3961774e38f, ElementType.BFloat16, false)]
    [InlineData(-float.MaxValue, ElementType.BFloat16, true)]
    [InlineData(float.PositiveInfinity, ElementType.BFloat16, false)]
    public void A_finite_value_that_would_become_infinite_is_found_wherever_it_is(
        float value,
        ElementType to,
        bool overflows
    )
    {
        foreach (int index in (int[])[0, 1, 7, 8, 2047, 2048, 4999])
        {
            var source = new float[5000];
            source[index] = value;

            bool converted = ElementConversion.TryConvert(
                MemoryMarshal.AsBytes(source.AsSpan()),
                ElementType.Float32,
                new byte[10_000],
                to,
                out int overflow
            );

            Assert.Equal(!overflows, converted);
            Assert.Equal(overflows ? index : -1, overflow);
        }
    }

    [Fact]
    public void A_bfloat16_that_float16_cannot_hold_is_found()
    {
        ushort[] source = [0, (ushort)(BitConverter.SingleToUInt32Bits(1e6f) >> 16), 0];

        Assert.False(
            ElementConversion.TryConvert(
                MemoryMarshal.AsBytes(source.AsSpan()),
                ElementType.BFloat16,
                new byte[6],
                ElementType.Float16,
                out int overflow
            )
        );
        Assert.Equal(1, overflow);
    }

    [Theory]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.Int64)]
    public void A_type_converts_to_itself_byte_by_byte(ElementType type)
    {
        byte[] source = new byte[64];
        new Random(1).NextBytes(source);
        byte[] copy = new byte[64];

        Assert.True(ElementConversion.TryConvert(source, type, copy, type, out _));

        Assert.Equal(source, copy);
    }

    [Fact]
    public void Lengths_that_do_not_match_and_unknown_pairs_are_refused()
    {
        AssertRefused(new byte[6], ElementType.Float32, new byte[4], ElementType.Float16);
        AssertRefused(new byte[8], ElementType.Float32, new byte[5], ElementType.Float16);
        AssertRefused(new byte[8], ElementType.Float32, new byte[8], ElementType.Int32);
        AssertRefused(new byte[8], ElementType.Int64, new byte[4], ElementType.Int32);

        static void AssertRefused(byte[] source, ElementType from, byte[] destination, ElementType to) =>
            Assert.Throws<ArgumentException>(() => ElementConversion.TryConvert(source, from, destination, to, out _));
    }

    private static float Half16(ushort bits) => (float)BitConverter.UInt16BitsToHalf(bits);

    private static float BFloat16(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    private static bool Overflows(float value, ElementType to) =>
        float.IsFinite(value)
        && Math.Abs((double)value) >= (to == ElementType.Float16 ? 65520.0 : Math.Pow(2, 128) - Math.Pow(2, 119));

    private static void AssertNearest(
        ushort[] source,
        ElementType from,
        ElementType to,
        Func<ushort, float> sourceValue,
        Func<ushort, float> targetValue
    )
    {
        ushort[] converted = Convert<ushort, ushort>(source, from, to);
        Func<float, ushort> nearest = Nearest(targetValue);
        for (int i = 0; i < source.Length; i++)
        {
            AssertSame(nearest(sourceValue(source[i])), converted[i], targetValue, $"{source[i]:X4}");
        }
    }

    private static void AssertWidened(ElementType from, Func<ushort, float> valueOf)
    {
        float[] converted = Convert<ushort, float>(AllBits, from, ElementType.Float32);
        foreach (ushort bits in AllBits)
        {
            float expected = valueOf(bits);
            float found = converted[bits];
            Assert.True(
                float.IsNaN(expected)
                    ? float.IsNaN(found)
                    : BitConverter.SingleToUInt32Bits(expected) == BitConverter.SingleToUInt32Bits(found),
                $"{bits:X4} became {found} instead of {expected}"
            );
        }
    }

    private static void AssertSame(ushort expected, ushort found, Func<ushort, float> valueOf, string source) =>
        Assert.True(
            expected == found || (float.IsNaN(valueOf(expected)) && float.IsNaN(valueOf(found))),
            $"{source} became {found:X4} instead of {expected:X4}"
        );

    /// <summary>
    /// The definition of rounding, by search: of the two neighbours among all positive values of the format, the nearer
    /// one, and between equals the one with an even last bit.
    /// </summary>
    private static Func<float, ushort> Nearest(Func<ushort, float> valueOf)
    {
        double[] magnitudes =
        [
            .. AllBits.TakeWhile(bits => !float.IsInfinity(valueOf(bits))).Select(bits => (double)valueOf(bits)),
        ];
        ushort infinity = (ushort)magnitudes.Length;
        return value =>
        {
            int sign = float.IsNegative(value) ? 0x8000 : 0;
            if (!float.IsFinite(value))
            {
                return (ushort)(float.IsNaN(value) ? infinity + 1 : sign | infinity);
            }
            double magnitude = Math.Abs((double)value);
            int at = Array.BinarySearch(magnitudes, magnitude);
            if (at >= 0)
            {
                return (ushort)(sign | at);
            }
            int above = ~at;
            if (above == magnitudes.Length)
            {
                return (ushort)(sign | (above - 1));
            }
            double toBelow = magnitude - magnitudes[above - 1];
            double toAbove = magnitudes[above] - magnitude;
            bool isUp = toAbove < toBelow || (toAbove == toBelow && above % 2 == 0);
            return (ushort)(sign | (isUp ? above : above - 1));
        };
    }

    /// <summary>Every 16-bit value, the ties between neighbours, and the float32 values on both sides of each.</summary>
    private static IEnumerable<float> EdgeCases(Func<ushort, float> valueOf)
    {
        foreach (ushort bits in AllBits)
        {
            float value = valueOf(bits);
            float tie = (float)((value + (double)valueOf((ushort)(bits + 1))) / 2);
            foreach (float center in (float[])[value, tie])
            {
                yield return center;
                yield return MathF.BitIncrement(center);
                yield return MathF.BitDecrement(center);
            }
        }
        // NaNs whose payload is in the lower half only, quiet and signalling.
        foreach (uint bits in (uint[])[0x7F80_0001, 0xFF80_0001, 0x7FC0_0001, 0x7FFF_FFFF, 0xFFFF_FFFF])
        {
            yield return BitConverter.UInt32BitsToSingle(bits);
        }
    }

    private static IEnumerable<float> RandomBits(int count)
    {
        var random = new Random(1);
        return Enumerable
            .Range(0, count)
            .Select(_ => BitConverter.Int32BitsToSingle(random.Next(int.MinValue, int.MaxValue)));
    }

    private static TTo[] Convert<TFrom, TTo>(TFrom[] source, ElementType from, ElementType to)
        where TFrom : unmanaged
        where TTo : unmanaged
    {
        var destination = new TTo[source.Length];
        Assert.True(
            ElementConversion.TryConvert(
                MemoryMarshal.AsBytes(source.AsSpan()),
                from,
                MemoryMarshal.AsBytes(destination.AsSpan()),
                to,
                out _
            )
        );
        return destination;
    }
}
