using System.Buffers.Binary;
using System.Runtime.Intrinsics;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// Rounding of positive numbers to what an element type can hold. The numbers are as in a <see cref="WeightGroup"/>: divided
/// by a power of two.
/// </summary>
internal readonly struct ScaleRounding
{
    private const uint ExponentMask = 0x7F80_0000;

    private readonly float ulpOfOne;
    private readonly float smallest;

    /// <summary>Rounding to a type.</summary>
    /// <param name="type">Float32, Float16 or BFloat16.</param>
    /// <param name="exponent">The numbers are divided by 2 to the power of this.</param>
    public ScaleRounding(ElementType type, int exponent)
    {
        ulpOfOne = UlpOfOne(type);
        smallest = (float)(SmallestOf(type) * WeightGroup.PowerOfTwo(-exponent));
        Largest = (float)(LargestOf(type) * WeightGroup.PowerOfTwo(-exponent));
    }

    /// <summary>The largest number that the type holds, divided as all numbers here are.</summary>
    public float Largest { get; }

    /// <summary>The distance from 1 to the next number of a type: 2⁻²³, 2⁻¹⁰ or 2⁻⁷.</summary>
    public static float UlpOfOne(ElementType type) =>
        type switch
        {
            ElementType.Float32 => 1f / (1 << 23),
            ElementType.Float16 => 1f / (1 << 10),
            ElementType.BFloat16 => 1f / (1 << 7),
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "expected a type of floating point"),
        };

    /// <summary>
    /// The nearest numbers of the type, ties to even, none above the largest. Below the type's normal numbers, where steps are
    /// coarse, the next one up: a scale that is rounded down by a third would cut off as much of its group.
    /// </summary>
    /// <param name="values">Positive numbers.</param>
    public Vector256<float> Round(Vector256<float> values)
    {
        // The power of two at or below a number has its exponent bits and no others.
        Vector256<float> ulp =
            (values.AsUInt32() & Vector256.Create(ExponentMask)).AsSingle() * Vector256.Create(ulpOfOne);
        Vector256<float> least = Vector256.Create(smallest);
        Vector256<float> step = Vector256.Max(ulp, least);
        Vector256<float> steps = values / step;
        Vector256<float> whole = Vector256.ConditionalSelect(
            Vector256.GreaterThan(least, ulp),
            Vector256.Ceiling(steps),
            Vector256.Round(steps)
        );
        return Vector256.Min(whole * step, Vector256.Create(Largest));
    }

    /// <summary>The same of one positive number.</summary>
    public float Round(float value) => Round(Vector256.Create(value))[0];

    /// <summary>Writes a number that the type holds, little-endian.</summary>
    public static void Write(float value, ElementType type, Span<byte> destination)
    {
        switch (type)
        {
            case ElementType.Float16:
                BinaryPrimitives.WriteHalfLittleEndian(destination, (Half)value);
                break;
            case ElementType.BFloat16:
                uint upperHalf = BitConverter.SingleToUInt32Bits(value) >> 16;
                BinaryPrimitives.WriteUInt16LittleEndian(destination, (ushort)upperHalf);
                break;
            default:
                BinaryPrimitives.WriteSingleLittleEndian(destination, value);
                break;
        }
    }

    /// <summary>Reads a number of a type, little-endian.</summary>
    public static float Read(ReadOnlySpan<byte> source, ElementType type) =>
        type switch
        {
            ElementType.Float16 => (float)BinaryPrimitives.ReadHalfLittleEndian(source),
            ElementType.BFloat16 => BitConverter.UInt32BitsToSingle(
                (uint)BinaryPrimitives.ReadUInt16LittleEndian(source) << 16
            ),
            _ => BinaryPrimitives.ReadSingleLittleEndian(source),
        };

    private static double SmallestOf(ElementType type) =>
        type switch
        {
            ElementType.Float16 => WeightGroup.PowerOfTwo(-24),
            ElementType.BFloat16 => WeightGroup.PowerOfTwo(-133),
            _ => WeightGroup.PowerOfTwo(-149),
        };

    private static double LargestOf(ElementType type) =>
        type switch
        {
            ElementType.Float16 => (double)Half.MaxValue,
            // All bits of the significand's eight set.
            ElementType.BFloat16 => 255 * WeightGroup.PowerOfTwo(120),
            _ => float.MaxValue,
        };
}
