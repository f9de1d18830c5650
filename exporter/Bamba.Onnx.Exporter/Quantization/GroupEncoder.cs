using System.Runtime.Intrinsics;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>Gives every weight of a group the nearest code of a grid.</summary>
internal sealed class GroupEncoder(WeightQuantization format)
{
    private readonly byte[] codes = new byte[format.GroupSize];

    /// <summary>[group size] one code a byte, as the last <see cref="Encode"/> left them; not mirrored.</summary>
    public ReadOnlySpan<byte> Codes => codes;

    /// <summary>Chooses the codes.</summary>
    /// <returns>The sum of squared errors by importance, in the group's divided units.</returns>
    public double Encode(WeightGroup group, CodeGrid grid)
    {
        if (group.IsZero)
        {
            Array.Fill(codes, (byte)grid.Zero);
            return 0;
        }
        Vector256<float> error = default;
        for (int i = 0; i < codes.Length; i += Vector256<byte>.Count)
        {
            Vector256<int> first = Choose(group, i, grid, ref error);
            Vector256<int> second = Choose(group, i + 8, grid, ref error);
            Vector256<int> third = Choose(group, i + 16, grid, ref error);
            Vector256<int> fourth = Choose(group, i + 24, grid, ref error);
            Vector256
                .Narrow(Vector256.Narrow(first, second).AsUInt16(), Vector256.Narrow(third, fourth).AsUInt16())
                .CopyTo(codes, i);
        }
        return Vector256.Sum(error);
    }

    /// <summary>Packs the codes as they are stored: one a byte, or two with the first in the lower half.</summary>
    /// <param name="mirrored">Whether they are counted from the largest down.</param>
    /// <param name="packed">[group size · bits / 8].</param>
    public void Pack(bool mirrored, Span<byte> packed)
    {
        // The largest code has all bits set.
        Vector128<byte> mirror = Vector128.Create(mirrored ? (byte)format.LargestCode : (byte)0);
        if (format.Bits == 8)
        {
            for (int i = 0; i < codes.Length; i += Vector128<byte>.Count)
            {
                (Vector128.Create(codes, i) ^ mirror).CopyTo(packed[i..]);
            }
            return;
        }
        for (int i = 0; i < codes.Length; i += 2 * Vector128<byte>.Count)
        {
            Vector128<ushort> first = PairUp(Vector128.Create(codes, i) ^ mirror);
            Vector128<ushort> second = PairUp(Vector128.Create(codes, i + Vector128<byte>.Count) ^ mirror);
            Vector128.Narrow(first, second).CopyTo(packed[(i / 2)..]);
        }
    }

    private Vector256<int> Choose(WeightGroup group, int index, CodeGrid grid, ref Vector256<float> error)
    {
        Vector256<float> values = Vector256.Create(group.Values[index..]);
        Vector256<float> zero = Vector256.Create(grid.Zero);
        Vector256<float> at = Vector256.FusedMultiplyAdd(values, Vector256.Create(1 / grid.Scale), zero);
        Vector256<float> code = Vector256.Min(
            Vector256.Max(Vector256.Round(at), default),
            Vector256.Create((float)format.LargestCode)
        );
        Vector256<float> difference = values - ((code - zero) * Vector256.Create(grid.Scale));
        error += difference * difference * Vector256.Create(group.Importance[index..]);
        return Vector256.ConvertToInt32Native(code);
    }

    // Two codes, in the lower and the upper byte of a number of 16 bits, become one byte.
    private static Vector128<ushort> PairUp(Vector128<byte> codes)
    {
        Vector128<ushort> pairs = codes.AsUInt16();
        return (pairs | (pairs >> 4)) & Vector128.Create((ushort)0xFF);
    }
}
