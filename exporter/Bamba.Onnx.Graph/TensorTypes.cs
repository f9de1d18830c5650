using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Graph;

/// <summary>Element types and shapes in ONNX's terms.</summary>
public static class TensorTypes
{
    /// <summary>ONNX's number for an element type.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="type"/> is not a defined value.</exception>
    public static DataType ToOnnx(this ElementType type) =>
        type switch
        {
            ElementType.Float32 => DataType.Float,
            ElementType.Float16 => DataType.Float16,
            ElementType.BFloat16 => DataType.Bfloat16,
            ElementType.Int32 => DataType.Int32,
            ElementType.Int64 => DataType.Int64,
            ElementType.UInt8 => DataType.Uint8,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
        };

    /// <summary>A graph input or output with its type and axes.</summary>
    public static ValueInfoProto ToValueInfo(this TensorSpec spec)
    {
        ArgumentNullException.ThrowIfNull(spec);
        return ValueInfo(spec.Name, spec.Type.ToOnnx(), spec.Axes.AsSpan());
    }

    /// <summary>A named value with its type and axes.</summary>
    public static ValueInfoProto ValueInfo(string name, DataType type, ReadOnlySpan<Axis> axes)
    {
        var shape = new TensorShapeProto();
        foreach (Axis axis in axes)
        {
            shape.Dim.Add(
                axis.Symbol is { } symbol
                    ? new TensorShapeProto.Types.Dimension { DimParam = symbol }
                    : new TensorShapeProto.Types.Dimension { DimValue = axis.Size }
            );
        }
        var tensor = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape };
        return new ValueInfoProto
        {
            Name = name,
            Type = new TypeProto { TensorType = tensor },
        };
    }
}
