using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Bamba.Onnx.Native.Tests;

/// <summary>A tensor of a call; every value is one that its element type can hold.</summary>
internal sealed record Operand(ElementType Type, ImmutableArray<long> Shape, ImmutableArray<float> Values)
{
    /// <summary>Lengths, bounds or rows.</summary>
    public static Operand Ints(params int[] values) =>
        new(ElementType.Int32, [values.Length], [.. values.Select(value => (float)value)]);

    /// <summary>Random values between -<paramref name="scale"/> and <paramref name="scale"/>, rounded to the type.</summary>
    public static Operand Random(Random random, ElementType type, double scale, params ImmutableArray<long> shape) =>
        new(
            type,
            shape,
            [.. Enumerable.Range(0, Count(shape)).Select(_ => Rounded(type, scale * ((2 * random.NextDouble()) - 1)))]
        );

    /// <summary>Zeros of another shape.</summary>
    public Operand Resized(params ImmutableArray<long> shape) =>
        new(Type, shape, [.. Enumerable.Repeat(0f, Count(shape))]);

    /// <summary>Zeros of another size along one axis.</summary>
    public Operand Resized(int axis, long size) => Resized(Shape.SetItem(axis, size));

    /// <summary>A range along an axis that has none but axes of size 1 before it.</summary>
    public Operand Slice(int axis, int start, int count)
    {
        int inner = Count([.. Shape.Skip(axis + 1)]);
        return new Operand(Type, Shape.SetItem(axis, count), Values.Slice(start * inner, count * inner));
    }

    /// <summary>The same with one value at the places from <paramref name="start"/> up to <paramref name="end"/>.</summary>
    public Operand Filled(int start, int end, float value) =>
        this with
        {
            Values = [.. Values.Select((old, i) => i >= start && i < end ? value : old)],
        };

    /// <summary>A new tensor of ONNX Runtime's.</summary>
    public OrtValue ToOrtValue()
    {
        var value = OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance,
            Type switch
            {
                ElementType.Float32 => TensorElementType.Float,
                ElementType.Float16 => TensorElementType.Float16,
                ElementType.BFloat16 => TensorElementType.BFloat16,
                ElementType.Int32 => TensorElementType.Int32,
                _ => TensorElementType.Int64,
            },
            [.. Shape]
        );
        switch (Type)
        {
            case ElementType.Float32:
                Write(value, v => v);
                break;
            case ElementType.Float16:
                Write(value, v => (Float16)v);
                break;
            case ElementType.BFloat16:
                Write(value, v => (BFloat16)v);
                break;
            case ElementType.Int32:
                Write(value, v => (int)v);
                break;
            default:
                Write(value, v => (long)v);
                break;
        }
        return value;
    }

    /// <summary>A copy of an output.</summary>
    public static Operand Of(OrtValue value)
    {
        OrtTensorTypeAndShapeInfo info = value.GetTensorTypeAndShape();
        ImmutableArray<long> shape = [.. info.Shape];
        return info.ElementDataType switch
        {
            TensorElementType.Float16 => new Operand(
                ElementType.Float16,
                shape,
                [.. value.GetTensorDataAsSpan<Float16>().ToArray().Select(v => (float)v)]
            ),
            TensorElementType.BFloat16 => new Operand(
                ElementType.BFloat16,
                shape,
                [.. value.GetTensorDataAsSpan<BFloat16>().ToArray().Select(v => (float)v)]
            ),
            _ => new Operand(ElementType.Float32, shape, [.. value.GetTensorDataAsSpan<float>()]),
        };
    }

    private void Write<T>(OrtValue value, Func<float, T> convert)
        where T : unmanaged => Values.Select(convert).ToArray().CopyTo(value.GetTensorMutableDataAsSpan<T>());

    private static int Count(ImmutableArray<long> shape) => (int)shape.Aggregate(1L, (count, size) => count * size);

    private static float Rounded(ElementType type, double value) =>
        type switch
        {
            ElementType.Float16 => (float)(Float16)(float)value,
            ElementType.BFloat16 => (float)(BFloat16)(float)value,
            _ => (float)value,
        };
}
