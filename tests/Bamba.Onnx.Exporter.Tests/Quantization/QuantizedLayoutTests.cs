using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

/// <summary>What ONNX Runtime's operators read from quantized rows, in float32.</summary>
public sealed class QuantizedLayoutTests
{
    private const int Rows = 5;

    public static TheoryData<int, int, ZeroPoints, int> Products =>
        [
            .. from bits in (int[])[4, 8]
            from groupSize in (int[])[32, 128]
            from zeroPoints in Enum.GetValues<ZeroPoints>()
            where bits == 4 || zeroPoints != ZeroPoints.Float
            from columns in (int[])[96, 384, 50]
            select (bits, groupSize, zeroPoints, columns),
        ];

    public static MatrixTheoryData<int, int, ZeroPoints, int> Tables =>
        new([4, 8], [32, 64], [ZeroPoints.None, ZeroPoints.Integer], [64, 192]);

    [Theory]
    [MemberData(nameof(Products))]
    public void MatMulNBits_multiplies_by_the_values(int bits, int groupSize, ZeroPoints zeroPoints, int columns)
    {
        var matrix = new Matrix(Format(bits, groupSize, zeroPoints), columns);
        NodeArgument[] attributes =
        [
            NodeArgument.Int("K", columns),
            NodeArgument.Int("N", Rows),
            NodeArgument.Int("bits", bits),
            NodeArgument.Int("block_size", groupSize),
        ];
        long groups = matrix.Quantizer.Groups;
        TensorProto[] operands = matrix.Operands(
            [Rows, groups, groupSize * bits / 8],
            [Rows * groups],
            [matrix.ZeroPoints.Length / (zeroPoints == ZeroPoints.Float ? sizeof(float) : 1)]
        );
        float[] identity = new float[columns * columns];
        for (int i = 0; i < columns; i++)
        {
            identity[(i * columns) + i] = 1;
        }
        using OrtValue input = OrtValue.CreateTensorValueFromMemory(identity, [columns, columns]);
        float[] product = Run("MatMulNBits", input, DataType.Float, 0, operands, attributes);
        for (int row = 0; row < Rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                float expected = matrix.Values[row][column];
                Assert.InRange(product[(column * Rows) + row] - expected, -1e-6, 1e-6);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Tables))]
    public void GatherBlockQuantized_looks_the_values_up(int bits, int groupSize, ZeroPoints zeroPoints, int columns)
    {
        var matrix = new Matrix(Format(bits, groupSize, zeroPoints), columns);
        NodeArgument[] attributes =
        [
            NodeArgument.Int("gather_axis", 0),
            NodeArgument.Int("quantize_axis", 1),
            NodeArgument.Int("bits", bits),
            NodeArgument.Int("block_size", groupSize),
        ];
        TensorProto[] operands = matrix.Operands(
            [Rows, matrix.Quantizer.CodeBytes],
            [Rows, matrix.Quantizer.Groups],
            [Rows, matrix.Quantizer.ZeroPointBytes]
        );
        using OrtValue ids = OrtValue.CreateTensorValueFromMemory<long>([3, 0, 4], [3]);
        float[] rows = Run("GatherBlockQuantized", ids, DataType.Int64, 1, operands, attributes);
        Assert.Equal([.. matrix.Values[3], .. matrix.Values[0], .. matrix.Values[4]], rows);
    }

    private static WeightQuantization Format(int bits, int groupSize, ZeroPoints zeroPoints) =>
        new()
        {
            Bits = bits,
            GroupSize = groupSize,
            ZeroPoints = zeroPoints,
            Method = QuantizationMethod.Search,
        };

    private static float[] Run(
        string op,
        OrtValue input,
        DataType inputType,
        int inputAt,
        TensorProto[] operands,
        NodeArgument[] attributes
    )
    {
        var node = new NodeProto { OpType = op, Domain = "com.microsoft" };
        node.Input.AddRange(operands.Select(operand => operand.Name));
        node.Input.Insert(inputAt, "input");
        node.Output.Add("output");
        node.Attribute.AddRange(attributes.Select(attribute => attribute.Proto));
        ModelProto model = NodeModel.Of(
            [node],
            [TensorTypes.ValueInfo("input", inputType, inputAt == 0 ? ["a", "b"] : ["a"])],
            [TensorTypes.ValueInfo("output", DataType.Float, ["c", "d"])]
        );
        model.Graph.Initializer.AddRange(operands);
        using var session = new InferenceSession(model.ToByteArray());
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(
            options,
            new Dictionary<string, OrtValue> { ["input"] = input },
            ["output"]
        );
        return outputs[0].GetTensorDataAsSpan<float>().ToArray();
    }

    /// <summary>Random rows, quantized.</summary>
    private sealed class Matrix
    {
        private readonly WeightQuantization format;

        public Matrix(WeightQuantization format, int columns)
        {
            this.format = format;
            Quantizer = new RowQuantizer(format, ElementType.Float32, columns);
            Codes = new byte[Rows * Quantizer.CodeBytes];
            Scales = new byte[Rows * Quantizer.ScaleBytes];
            ZeroPoints = new byte[Rows * Quantizer.ZeroPointBytes];
            var random = new Random(7);
            for (int row = 0; row < Rows; row++)
            {
                float[] source = [.. Enumerable.Range(0, columns).Select(_ => random.NextSingle() - 0.3f)];
                Span<byte> codes = Part(Codes, row);
                Span<byte> scales = Part(Scales, row);
                Span<byte> zeroPoints = Part(ZeroPoints, row);
                Quantizer.Quantize(source, [], codes, scales, zeroPoints);
                Values[row] = new float[columns];
                Quantizer.Dequantize(codes, scales, zeroPoints, Values[row]);
            }
        }

        public RowQuantizer Quantizer { get; }
        public float[][] Values { get; } = new float[Rows][];
        public byte[] Codes { get; }
        public byte[] Scales { get; }
        public byte[] ZeroPoints { get; }

        public TensorProto[] Operands(long[] codes, long[] scales, long[] zeroPoints)
        {
            DataType zeroType = format.ZeroPoints == Contract.ZeroPoints.Float ? DataType.Float : DataType.Uint8;
            TensorProto[] operands =
            [
                Tensor("codes", DataType.Uint8, codes, Codes),
                Tensor("scales", DataType.Float, scales, Scales),
            ];
            return format.ZeroPoints == Contract.ZeroPoints.None
                ? operands
                : [.. operands, Tensor("zero_points", zeroType, zeroPoints, ZeroPoints)];
        }

        private static TensorProto Tensor(string name, DataType type, long[] shape, byte[] bytes)
        {
            var tensor = new TensorProto
            {
                Name = name,
                DataType = (int)type,
                RawData = ByteString.CopyFrom(bytes),
            };
            tensor.Dims.AddRange(shape);
            return tensor;
        }

        private static Span<byte> Part(byte[] bytes, int row) =>
            bytes.AsSpan(row * bytes.Length / Rows, bytes.Length / Rows);
    }
}
