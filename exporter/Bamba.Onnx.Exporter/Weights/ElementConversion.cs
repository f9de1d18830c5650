using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>
/// Conversion between float32, float16 and bfloat16 in memory: to the nearest value, ties to even; NaN stays NaN and infinity
/// infinity. Elements are little-endian, as in safetensors and ONNX.
/// </summary>
public static class ElementConversion
{
    // Small enough that the float32 form of a chunk stays in the first-level cache between steps.
    private const int ChunkElements = 2048;

    private const uint InfinityBits = 0x7F80_0000;
    private const uint AbsoluteMask = 0x7FFF_FFFF;

    // The least magnitudes that round to infinity: half a step above the largest finite values, 65504 and 0x7F7F.
    private const uint Float16OverflowBits = 0x477F_F000;
    private const uint BFloat16OverflowBits = 0x7F7F_8000;

    /// <summary>Converts elements, and stops where one is too large for its new type.</summary>
    /// <param name="source">Elements of <paramref name="from"/>.</param>
    /// <param name="from">The element type of the source.</param>
    /// <param name="destination">Room for as many elements of <paramref name="to"/>.</param>
    /// <param name="to">The element type of the destination. Types that are not floating point convert to themselves only.</param>
    /// <param name="overflow">The index of the first finite element that would have become infinite, or -1.</param>
    /// <returns>Whether all elements were converted; if not, what the destination holds is undefined.</returns>
    /// <exception cref="ArgumentException">The lengths do not match, or there is no conversion between the types.</exception>
    public static bool TryConvert(
        ReadOnlySpan<byte> source,
        ElementType from,
        Span<byte> destination,
        ElementType to,
        out int overflow
    )
    {
        int count = CountElements(source, from, destination, to);
        overflow = -1;
        if (from == to)
        {
            source.CopyTo(destination);
            return true;
        }
        Span<float> scratch = stackalloc float[ChunkElements];
        for (int start = 0; start < count; start += ChunkElements)
        {
            int length = Math.Min(ChunkElements, count - start);
            ReadOnlySpan<byte> input = source.Slice(start * from.SizeInBytes(), length * from.SizeInBytes());
            Span<byte> output = destination.Slice(start * to.SizeInBytes(), length * to.SizeInBytes());
            if (to == ElementType.Float32)
            {
                Widen(input, from, MemoryMarshal.Cast<byte, float>(output));
                continue;
            }
            scoped ReadOnlySpan<float> values = MemoryMarshal.Cast<byte, float>(input);
            if (from != ElementType.Float32)
            {
                Widen(input, from, scratch[..length]);
                values = scratch[..length];
            }
            int at = Narrow(values, output, to);
            if (at >= 0)
            {
                overflow = start + at;
                return false;
            }
        }
        return true;
    }

    /// <summary>Whether <see cref="TryConvert"/> knows a pair of types.</summary>
    public static bool CanConvert(ElementType from, ElementType to) => from == to || (IsFloat(from) && IsFloat(to));

    private static bool IsFloat(ElementType type) =>
        type is ElementType.Float32 or ElementType.Float16 or ElementType.BFloat16;

    private static int CountElements(
        ReadOnlySpan<byte> source,
        ElementType from,
        ReadOnlySpan<byte> destination,
        ElementType to
    )
    {
        if (!CanConvert(from, to))
        {
            throw new ArgumentException($"no conversion from {from.ShortName()} to {to.ShortName()}", nameof(to));
        }
        (int count, int rest) = Math.DivRem(source.Length, from.SizeInBytes());
        if (rest != 0)
        {
            throw new ArgumentException(
                $"expected whole elements of {from.ShortName()}, found {source.Length} bytes",
                nameof(source)
            );
        }
        if (destination.Length != (long)count * to.SizeInBytes())
        {
            throw new ArgumentException(
                $"expected {(long)count * to.SizeInBytes()} bytes for {count} elements of {to.ShortName()}, "
                    + $"found {destination.Length}",
                nameof(destination)
            );
        }
        return count;
    }

    private static void Widen(ReadOnlySpan<byte> source, ElementType from, Span<float> destination)
    {
        if (from == ElementType.Float16)
        {
            TensorPrimitives.ConvertToSingle(MemoryMarshal.Cast<byte, Half>(source), destination);
        }
        else
        {
            WidenBFloat16(MemoryMarshal.Cast<byte, ushort>(source), MemoryMarshal.Cast<float, uint>(destination));
        }
    }

    /// <summary>Returns the index of the first element that is too large, or -1.</summary>
    private static int Narrow(ReadOnlySpan<float> source, Span<byte> destination, ElementType to)
    {
        ReadOnlySpan<uint> bits = MemoryMarshal.Cast<float, uint>(source);
        if (to == ElementType.Float16)
        {
            TensorPrimitives.ConvertToHalf(source, MemoryMarshal.Cast<byte, Half>(destination));
            return IndexOfOverflow(bits, Float16OverflowBits);
        }
        NarrowToBFloat16(bits, MemoryMarshal.Cast<byte, ushort>(destination));
        return IndexOfOverflow(bits, BFloat16OverflowBits);
    }

    private static void WidenBFloat16(ReadOnlySpan<ushort> source, Span<uint> destination)
    {
        int i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(source[i..]), out Vector<uint> low, out Vector<uint> high);
            (low << 16).CopyTo(destination[i..]);
            (high << 16).CopyTo(destination[(i + Vector<uint>.Count)..]);
        }
        for (; i < source.Length; i++)
        {
            destination[i] = (uint)source[i] << 16;
        }
    }

    private static void NarrowToBFloat16(ReadOnlySpan<uint> source, Span<ushort> destination)
    {
        int i = 0;
        for (; i <= source.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector<uint> low = RoundToBFloat16(new Vector<uint>(source[i..]));
            Vector<uint> high = RoundToBFloat16(new Vector<uint>(source[(i + Vector<uint>.Count)..]));
            Vector.Narrow(low, high).CopyTo(destination[i..]);
        }
        for (; i < source.Length; i++)
        {
            destination[i] = (ushort)RoundToBFloat16(Vector.Create(source[i]))[0];
        }
    }

    private static Vector<uint> RoundToBFloat16(Vector<uint> bits)
    {
        Vector<uint> truncated = bits >> 16;
        Vector<uint> rounded = (bits + Vector.Create(0x7FFFu) + (truncated & Vector<uint>.One)) >> 16;
        Vector<uint> isNaN = Vector.GreaterThan(bits & Vector.Create(AbsoluteMask), Vector.Create(InfinityBits));
        // The quiet bit keeps a NaN whose payload is all in the lower half from becoming infinity.
        return Vector.ConditionalSelect(isNaN, truncated | Vector.Create(0x40u), rounded);
    }

    private static int IndexOfOverflow(ReadOnlySpan<uint> bits, uint least)
    {
        int i = 0;
        // At or above the least and below infinity, in one comparison of the distance.
        for (; i <= bits.Length - Vector<uint>.Count; i += Vector<uint>.Count)
        {
            Vector<uint> magnitude = new Vector<uint>(bits[i..]) & Vector.Create(AbsoluteMask);
            if (Vector.LessThanAny(magnitude - Vector.Create(least), Vector.Create(InfinityBits - least)))
            {
                break;
            }
        }
        for (; i < bits.Length; i++)
        {
            if ((bits[i] & AbsoluteMask) - least < InfinityBits - least)
            {
                return i;
            }
        }
        return -1;
    }
}
