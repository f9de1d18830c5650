using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

public sealed class PhiloxTests
{
    // The known answers that the authors of Philox publish with Random123 for philox4x32-10.
    [Theory]
    [InlineData(0u, 0u, 0u, 0u, 0ul, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(
        0xffffffffu,
        0xffffffffu,
        0xffffffffu,
        0xffffffffu,
        0xfffffffffffffffful,
        0x408f276du,
        0x41c83b0eu,
        0xa20bc7c6u,
        0x6d5451fdu
    )]
    [InlineData(
        0x243f6a88u,
        0x85a308d3u,
        0x13198a2eu,
        0x03707344u,
        0x299f31d0a4093822ul,
        0xd16cfe09u,
        0x94fdccebu,
        0x5001e420u,
        0x24126ea1u
    )]
    public void Blocks_equal_the_published_answers(
        uint c0,
        uint c1,
        uint c2,
        uint c3,
        ulong key,
        uint r0,
        uint r1,
        uint r2,
        uint r3
    ) => Assert.Equal((r0, r1, r2, r3), Philox.Block(key, c0, c1, c2, c3));

    [Fact]
    public void Uniform_numbers_fill_the_unit_interval_evenly()
    {
        double[] numbers = [.. Enumerable.Range(0, 10_000).Select(step => Philox.Uniform(3, (ulong)step))];
        Assert.All(numbers, number => Assert.InRange(number, 0, Math.BitDecrement(1.0)));
        Assert.Equal(0.5, numbers.Average(), 0.01);
        Assert.Equal(1.0 / 12, numbers.Select(n => (n - 0.5) * (n - 0.5)).Average(), 0.003);
    }

    [Fact]
    public void A_uniform_number_is_the_upper_53_bits_of_the_second_and_first_word()
    {
        (uint low, uint high, _, _) = Philox.Block(0x123456789, 0x9abcdef0, 0x12, 0, 0);
        double expected = (((ulong)high << 32) + low) / 2048 / 9007199254740992.0;
        Assert.Equal(expected, Philox.Uniform(0x123456789, 0x129abcdef0));
    }
}
