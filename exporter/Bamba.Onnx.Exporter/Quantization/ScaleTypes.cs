using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Weights;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>Scales and zero points in the element type that they are stored in.</summary>
internal static class ScaleTypes
{
    /// <summary>The stored number nearest to another; infinite where the type ends before it.</summary>
    public static float Round(this ElementType type, float value)
    {
        switch (type)
        {
            case ElementType.Float32:
                return value;
            case ElementType.Float16:
                return (float)(Half)value;
            default:
                uint bits = BitConverter.SingleToUInt32Bits(value);
                return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF_0000);
        }
    }

    /// <summary>Stores a number at an index of an array.</summary>
    public static void Store(this ElementType type, Span<byte> elements, int index, float value)
    {
        int size = type.SizeInBytes();
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(new ReadOnlySpan<float>(ref value));
        ElementConversion.TryConvert(bytes, ElementType.Float32, elements.Slice(index * size, size), type, out _);
    }

    /// <summary>Loads a number of an array.</summary>
    public static float Load(this ElementType type, ReadOnlySpan<byte> elements, int index)
    {
        int size = type.SizeInBytes();
        float value = 0;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<float>(ref value));
        ElementConversion.TryConvert(elements.Slice(index * size, size), type, bytes, ElementType.Float32, out _);
        return value;
    }
}
