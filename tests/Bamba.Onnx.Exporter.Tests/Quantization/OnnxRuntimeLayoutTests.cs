using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

/// <summary>What the bytes stand for, ONNX Runtime's own operators decide.</summary>
public sealed class OnnxRuntimeLayoutTests
{
    private const int Rows = 5;

    /// <summary>Bits, group size, zero points, columns: whole groups, an odd number of them, and a last one that is short.</summary>
    public static TheoryData<int, int, ZeroPoints, int> Formats()
    {
        var formats = new TheoryData<int, int, ZeroPoints, int>();
        foreach (int bits in (int[])[4, 8])
        {
            foreach (ZeroPoints zeroPoints in Enum.GetValues<ZeroPoints>())
            {
                // ONNX Runtime 1.31 has no kernel on the processor for these.
                if (bits == 8 && zeroPoints == ZeroPoints.Float)
                {
                    continue;
                }
                foreach (int groupSize in (int[])[32, 64, 128])
                {
                    formats.Add(bits, groupSize, zeroPoints, 2 * groupSize);
                    formats.Add(bits, groupSize, zeroPoints, 3 * groupSize);
                    formats.Add(bits, groupSize, zeroPoints, (2 * groupSize) + 12);
                }
            }
        }
        return formats;
    }

    [Theory]
    [MemberData(nameof(Formats))]
    public void MatMulNBits_reads_the_values_that_Dequantize_tells(
        int bits,
        int groupSize,
        ZeroPoints zeroPoints,
        int columns
    )
    {
        WeightQuantization format = new()
        {
            Bits = bits,
            GroupSize = groupSize,
            ZeroPoints = zeroPoints,
        };
        var matrix = new QuantizedMatrix(format, RandomWeights.Of("heavy tails", Rows * columns), columns);

        float[] product = Multiply(format, matrix, columns);

        // Float zero points are folded into a product with the scale, which rounds otherwise.
        float tolerance = zeroPoints == ZeroPoints.Float ? 1e-6f : 0;
        for (int i = 0; i < matrix.Values.Length; i++)
        {
            // The product with the identity is the transpose.
            float found = product[(i % columns * Rows) + (i / columns)];
            Assert.Equal(matrix.Values[i], found, tolerance);
        }
    }

    [Theory]
    [InlineData(4, ZeroPoints.None, ElementType.Float32)]
    [InlineData(4, ZeroPoints.Integer, ElementType.Float32)]
    [InlineData(8, ZeroPoints.None, ElementType.Float32)]
    [InlineData(8, ZeroPoints.Integer, ElementType.Float32)]
    [InlineData(4, ZeroPoints.None, ElementType.Float16)]
    [InlineData(8, ZeroPoints.Integer, ElementType.Float16)]
    public void GatherBlockQuantized_reads_the_values_that_Dequantize_tells(
        int bits,
        ZeroPoints zeroPoints,
        ElementType scales
    )
    {
        const int Columns = 96;
        WeightQuantization format = new()
        {
            Bits = bits,
            GroupSize = 32,
            ZeroPoints = zeroPoints,
        };
        var matrix = new QuantizedMatrix(format, RandomWeights.Of("heavy tails", Rows * Columns), Columns, scales);

        if (scales == ElementType.Float32)
        {
            Assert.Equal(matrix.Values, Gather<float>(format, matrix));
        }
        else
        {
            // Rows are of the scales' type.
            Assert.Equal(matrix.Values.Select(value => (Half)value), Gather<Float16>(format, matrix).Select(ToHalf));
        }
    }

    private static Half ToHalf(Float16 value) => BitConverter.UInt16BitsToHalf(value.value);

    private static float[] Multiply(WeightQuantization format, QuantizedMatrix matrix, int columns)
    {
        var identity = new float[columns * columns];
        for (int i = 0; i < columns; i++)
        {
            identity[i * (columns + 1)] = 1;
        }
        Operand[] operands =
        [
            new("A", identity, [columns, columns], IsFed: true),
            new("B", matrix.Codes, [Rows, matrix.Groups, format.GroupSize * format.Bits / 8]),
            new("scales", Floats(matrix.Scales), [Rows, matrix.Groups]),
            .. ZeroPointsOf(format, matrix),
        ];
        return Run<float>(
            "MatMulNBits",
            operands,
            ("K", columns),
            ("N", Rows),
            ("bits", format.Bits),
            ("block_size", format.GroupSize)
        );
    }

    /// <summary>All rows, of the scales' type.</summary>
    private static T[] Gather<T>(WeightQuantization format, QuantizedMatrix matrix)
        where T : unmanaged
    {
        Operand[] operands =
        [
            new("data", matrix.Codes, [Rows, matrix.Codes.Length / Rows]),
            new("indices", Enumerable.Range(0, Rows).Select(row => (long)row).ToArray(), [Rows], IsFed: true),
            new("scales", MemoryMarshal.Cast<byte, T>(matrix.Scales).ToArray(), [Rows, matrix.Groups]),
            .. ZeroPointsOf(format, matrix),
        ];
        return Run<T>(
            "GatherBlockQuantized",
            operands,
            ("gather_axis", 0),
            ("quantize_axis", 1),
            ("bits", format.Bits),
            ("block_size", format.GroupSize)
        );
    }

    private static IEnumerable<Operand> ZeroPointsOf(WeightQuantization format, QuantizedMatrix matrix) =>
        format.ZeroPoints switch
        {
            ZeroPoints.None => [],
            ZeroPoints.Integer => [new("zero_points", matrix.ZeroPoints, [Rows, matrix.ZeroPoints.Length / Rows])],
            _ => [new("zero_points", Floats(matrix.ZeroPoints), [Rows, matrix.Groups])],
        };

    private static float[] Floats(byte[] bytes) => MemoryMarshal.Cast<byte, float>(bytes).ToArray();

    private static T[] Run<T>(string operation, Operand[] operands, params (string Name, int Value)[] attributes)
        where T : unmanaged
    {
        var node = new NodeProto { OpType = operation, Domain = "com.microsoft" };
        node.Input.AddRange(operands.Select(operand => operand.Name));
        node.Output.Add("y");
        node.Attribute.AddRange(attributes.Select(a => NodeArgument.Int(a.Name, a.Value).Proto));
        ModelProto model = NodeModel.Of(
            [node],
            operands.Where(operand => operand.IsFed).Select(operand => operand.Info),
            [TensorTypes.ValueInfo("y", Operand.TypeOf(Array.Empty<T>()), ["rows", "columns"])]
        );
        model.Graph.Initializer.AddRange(
            operands.Where(operand => !operand.IsFed).Select(operand => operand.Initializer)
        );
        using var session = new InferenceSession(model.ToByteArray());
        using IDisposableReadOnlyCollection<DisposableNamedOnnxValue> results = session.Run([
            .. operands.Where(operand => operand.IsFed).Select(operand => operand.Value),
        ]);
        return [.. results[0].AsEnumerable<T>()];
    }

    /// <summary>What a call feeds, or what is in the model, where ONNX Runtime packs it for its kernels.</summary>
    private sealed record Operand(string Name, Array Data, int[] Shape, bool IsFed = false)
    {
        public ValueInfoProto Info => TensorTypes.ValueInfo(Name, Type, [.. Shape.Select(size => (Axis)size)]);

        public NamedOnnxValue Value =>
            Data is float[] floats
                ? NamedOnnxValue.CreateFromTensor(Name, new DenseTensor<float>(floats, Shape))
                : NamedOnnxValue.CreateFromTensor(Name, new DenseTensor<long>((long[])Data, Shape));

        public TensorProto Initializer
        {
            get
            {
                ReadOnlySpan<byte> bytes = Data switch
                {
                    float[] floats => MemoryMarshal.AsBytes(floats.AsSpan()),
                    Float16[] halves => MemoryMarshal.AsBytes(halves.AsSpan()),
                    _ => (byte[])Data,
                };
                var tensor = new TensorProto
                {
                    Name = Name,
                    DataType = (int)Type,
                    RawData = ByteString.CopyFrom(bytes),
                };
                tensor.Dims.AddRange(Shape.Select(size => (long)size));
                return tensor;
            }
        }

        private TensorProto.Types.DataType Type => TypeOf(Data);

        public static TensorProto.Types.DataType TypeOf(Array data) =>
            data switch
            {
                float[] => TensorProto.Types.DataType.Float,
                Float16[] => TensorProto.Types.DataType.Float16,
                byte[] => TensorProto.Types.DataType.Uint8,
                _ => TensorProto.Types.DataType.Int64,
            };
    }
}
