using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Native.Tests;

/// <summary>The adapter of <c>bamba::MatMulNBits</c>, against its page in custom-ops/README.md and ONNX Runtime's own operator.</summary>
public sealed class MatMulNBitsTests
{
    /// <summary>How zero points are given.</summary>
    public enum ZeroPoints
    {
        None,
        Packed,
        OfScaleType,
    }

    private const string OnnxRuntimeDomain = "com.microsoft";

    /// <summary>Bits, elements of a group, zero points, and x's shape.</summary>
    public static MatrixTheoryData<int, int, ZeroPoints, long[]> Calls =>
        new(
            [4, 8],
            [32, 64, 128],
            [ZeroPoints.None, ZeroPoints.Packed, ZeroPoints.OfScaleType],
            [
                [192],
                [1, 1, 192],
                [2, 3, 150],
                [3, 20],
                [33, 256],
            ]
        );

    [Theory]
    [MemberData(nameof(Calls))]
    public void Y_is_that_of_the_page_and_of_onnx_runtimes_operator(
        int bits,
        int blockSize,
        ZeroPoints zeroPoints,
        long[] shape
    )
    {
        Call call = Call.Random(bits, blockSize, 37, ElementType.Float32, ElementType.Float32, zeroPoints, [.. shape]);
        Operand y = Run(call);
        Assert.Equal([.. shape[..^1], 37], y.Shape);
        AssertClose(call, call.Exact(), y, roundings: 1);
        // Zero points of S with codes of 8 bits ONNX Runtime does not have.
        if (bits == 4 || zeroPoints != ZeroPoints.OfScaleType)
        {
            AssertClose(call, Run(call, accuracyLevel: 1), y, roundings: 1);
            AssertClose(call, Run(call, accuracyLevel: 4), y, roundings: 2);
        }
    }

    [Theory]
    [InlineData(ElementType.Float16, ElementType.Float16)]
    [InlineData(ElementType.Float16, ElementType.Float32)]
    [InlineData(ElementType.Float16, ElementType.BFloat16)]
    [InlineData(ElementType.BFloat16, ElementType.Float16)]
    [InlineData(ElementType.BFloat16, ElementType.BFloat16)]
    [InlineData(ElementType.Float32, ElementType.Float16)]
    [InlineData(ElementType.Float32, ElementType.BFloat16)]
    public void Any_type_goes_with_any_type_of_scales(ElementType type, ElementType scales)
    {
        foreach (ZeroPoints zeroPoints in Enum.GetValues<ZeroPoints>())
        {
            Call call = Call.Random(4, 32, 19, type, scales, zeroPoints, 5, 100);
            Operand y = Run(call);
            Assert.Equal(type, y.Type);
            double place = type switch
            {
                ElementType.Float32 => 0,
                ElementType.Float16 => Math.Pow(2, -10),
                _ => Math.Pow(2, -7),
            };
            AssertClose(call, call.Exact(), y, roundings: 1, place);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    public void Scales_of_float16_below_its_normal_numbers_count(int rows)
    {
        Call call = Call.Random(8, 32, 19, ElementType.Float32, ElementType.Float16, ZeroPoints.None, rows, 100);
        Operand scales = call.Inputs[2].Operand;
        // Multiples of the smallest, from -50 to 50.
        float smallest = MathF.Pow(2, -24);
        ImmutableArray<float> small = [.. scales.Values.Select(value => MathF.Round(value * 1000) * smallest)];
        call = call.With(2, new Input(scales with { Values = small }));
        Operand y = Run(call);
        ImmutableArray<float> exact = call.Exact().Values;
        Assert.All(
            exact.Select((value, i) => (value, i)),
            at =>
            {
                double tolerance = call.Rounding(at.i) + (1e-6 * Math.Abs(at.value));
                Assert.InRange(y.Values[at.i] - at.value, -tolerance, tolerance);
            }
        );
        Assert.InRange(exact.Max(), 1e-3f, 1f);
    }

    [Theory]
    [InlineData(new long[] { 0, 64 })]
    [InlineData(new long[] { 2, 0, 64 })]
    public void No_rows_give_no_rows(long[] shape)
    {
        Operand y = Run(Call.Random(4, 32, 9, ElementType.Float32, ElementType.Float32, ZeroPoints.None, [.. shape]));
        Assert.Equal([.. shape[..^1], 9], y.Shape);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    public void Many_threads_give_what_one_gives(int rows)
    {
        Call call = Call.Random(4, 128, 999, ElementType.Float32, ElementType.Float16, ZeroPoints.Packed, rows, 1000);
        Assert.Equal(Run(call, threads: 1).Values, Run(call, threads: 4).Values);
    }

    [Fact]
    public void A_session_that_does_not_say_it_runs_on_the_processor_alone_runs_the_function()
    {
        Call call = Call.Random(4, 32, 7, ElementType.Float32, ElementType.Float32, ZeroPoints.None, 3, 64);
        byte[] model = call.ToModel(Mamba2ChunkScanOp.Domain, []);
        Assert.ThrowsAny<OnnxRuntimeException>(() => Run(call, model, cpuOnly: false));
        byte[] withFunction = call.ToModel(Mamba2ChunkScanOp.Domain, [Function(call)]);
        Operand function = Run(call, withFunction, cpuOnly: false);
        Assert.Equal(Run(call, accuracyLevel: 0).Values, function.Values);
        Assert.Equal(Run(call).Values, Run(call, withFunction, cpuOnly: true).Values);
    }

    [Theory]
    [InlineData(ZeroPoints.None)]
    [InlineData(ZeroPoints.Packed)]
    [InlineData(ZeroPoints.OfScaleType)]
    public void The_function_of_an_export_takes_scales_of_half_the_bytes_too(ZeroPoints zeroPoints)
    {
        Call call = Call.Random(4, 32, 37, ElementType.Float32, ElementType.Float16, zeroPoints, 3, 192);
        FunctionProto function = MatMulNBitsFunction.Build(
            zeroPoints == ZeroPoints.OfScaleType ? MatMulNBitsCasts.ScalesAndZeroPoints : MatMulNBitsCasts.Scales
        );
        byte[] model = call.ToModel(Mamba2ChunkScanOp.Domain, [function]);
        Operand ofFunction = Run(call, model, cpuOnly: false);
        AssertClose(call, call.Exact(), ofFunction, roundings: 1);
        AssertClose(call, Run(call, model, cpuOnly: true), ofFunction, roundings: 2);
    }

    [Theory]
    [InlineData(0, new long[] { 2, 65 }, "x: axis 1 (K): expected 64, found 65")]
    [InlineData(0, new long[] { 63 }, "x: axis 0 (K): expected 64, found 63")]
    [InlineData(0, new long[] { }, "x: expected rank 1 or more, found rank 0")]
    [InlineData(1, new long[] { 7, 2 }, "codes: expected rank 3, found rank 2")]
    [InlineData(1, new long[] { 8, 2, 16 }, "codes: axis 0 (N): expected 7, found 8")]
    [InlineData(1, new long[] { 7, 3, 16 }, "codes: axis 1 (ceil(K / block_size)): expected 2, found 3")]
    [InlineData(1, new long[] { 7, 2, 32 }, "codes: axis 2 (block_size * bits / 8): expected 16, found 32")]
    [InlineData(2, new long[] { 7, 2 }, "scales: expected rank 1, found rank 2")]
    [InlineData(2, new long[] { 13 }, "scales: axis 0 (N * ceil(K / block_size)): expected 14, found 13")]
    [InlineData(3, new long[] { 7, 1 }, "zero_points: expected rank 1, found rank 2")]
    [InlineData(
        3,
        new long[] { 14 },
        "zero_points: axis 0 (N * ceil(ceil(K / block_size) * bits / 8)): expected 7, found 14"
    )]
    public void A_wrong_shape_is_refused(int input, long[] shape, string complaint) =>
        AssertRefused(
            Small.With(input, Small.Inputs[input] with { Operand = Small.Inputs[input].Operand.Resized([.. shape]) }),
            complaint
        );

    [Theory]
    [InlineData(2, ElementType.Int32, "scales: expected float32, float16 or bfloat16, found int32")]
    [InlineData(3, ElementType.Float16, "zero_points: expected uint8 or float32 as scales, found float16")]
    [InlineData(0, ElementType.Int32, "int32")]
    [InlineData(1, ElementType.Int32, "int32")]
    public void A_wrong_element_type_is_refused(int input, ElementType type, string complaint) =>
        AssertRefused(Small.With(input, new Input(Small.Inputs[input].Operand with { Type = type })), complaint);

    [Theory]
    [InlineData("bits", 3, "attribute bits: expected 4 or 8, found 3")]
    [InlineData("bits", 2, "attribute bits: expected 4 or 8, found 2")]
    [InlineData("block_size", 16, "attribute block_size: expected 32, 64 or 128, found 16")]
    [InlineData("block_size", 256, "attribute block_size: expected 32, 64 or 128, found 256")]
    [InlineData("K", 0, "attribute K: expected a positive integer, found 0")]
    [InlineData("N", -1, "attribute N: expected a positive integer, found -1")]
    public void A_wrong_attribute_is_refused(string name, long value, string complaint) =>
        AssertRefused(Small with { Attributes = Small.Attributes.SetItem(name, value) }, complaint);

    [Theory]
    [InlineData("K")]
    [InlineData("N")]
    [InlineData("bits")]
    [InlineData("block_size")]
    public void A_missing_attribute_is_refused(string name) =>
        AssertRefused(
            Small with
            {
                Attributes = Small.Attributes.Remove(name),
            },
            $"attribute {name}: expected a positive integer, found none"
        );

    private static Call Small =>
        Call.Random(4, 32, 7, ElementType.Float32, ElementType.Float32, ZeroPoints.Packed, 2, 64);

    private static void AssertRefused(Call call, string complaint)
    {
        OnnxRuntimeException refusal = Assert.ThrowsAny<OnnxRuntimeException>(() => Run(call));
        Assert.Contains(complaint, refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>That outputs differ by no more than the page allows where x is rounded so often.</summary>
    private static void AssertClose(Call call, Operand expected, Operand actual, int roundings, double place = 0)
    {
        Assert.Equal(expected.Shape, actual.Shape);
        for (int i = 0; i < expected.Values.Length; i++)
        {
            double tolerance = (roundings * call.Rounding(i)) + 1e-4 + (place * Math.Abs(expected.Values[i]));
            Assert.InRange(actual.Values[i] - expected.Values[i], -tolerance, tolerance);
        }
    }

    /// <summary>The function of a model file: one node of ONNX Runtime's.</summary>
    private static FunctionProto Function(Call call)
    {
        var function = new FunctionProto { Name = Call.Name, Domain = Mamba2ChunkScanOp.Domain };
        string[] names = [.. Call.Names.Take(call.Inputs.Length)];
        function.Input.AddRange(names);
        function.Output.Add("y");
        function.Node.Add(call.ToNode(OnnxRuntimeDomain));
        function.OpsetImport.Add(new OperatorSetIdProto { Domain = OnnxRuntimeDomain, Version = 1 });
        return function;
    }

    private static Operand Run(Call call, int? accuracyLevel = null, int threads = 0)
    {
        if (accuracyLevel is { } level)
        {
            Call leveled = call with { Attributes = call.Attributes.Add("accuracy_level", level) };
            return Run(leveled, leveled.ToModel(OnnxRuntimeDomain, []), cpuOnly: false, threads);
        }
        return Run(call, call.ToModel(Mamba2ChunkScanOp.Domain, []), cpuOnly: true, threads);
    }

    private static Operand Run(Call call, byte[] model, bool cpuOnly, int threads = 0)
    {
        using var options = new SessionOptions
        {
            IntraOpNumThreads = threads,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
        };
        if (cpuOnly)
        {
            options.AddSessionConfigEntry("bamba.provider", "cpu");
        }
        options.RegisterCustomOpLibrary(NativeBuild.Library);
        using var session = new InferenceSession(model, options);
        OrtValue[] values = [.. call.Inputs.Select(input => input.ToOrtValue())];
        try
        {
            using var runOptions = new RunOptions();
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(
                runOptions,
                [.. Call.Names.Take(values.Length)],
                values,
                ["y"]
            );
            return Operand.Of(outputs[0]);
        }
        finally
        {
            Array.ForEach(values, value => value.Dispose());
        }
    }

    /// <summary>An input; one of bytes has an operand of whole numbers.</summary>
    private sealed record Input(Operand Operand, bool IsBytes = false)
    {
        public DataType OnnxType => IsBytes ? DataType.Uint8 : Operand.Type.ToOnnx();

        public static Input Bytes(Random random, params ImmutableArray<long> shape)
        {
            Operand operand = Operand.Random(random, ElementType.Float32, 0.5, shape);
            ImmutableArray<float> bytes = [.. operand.Values.Select(value => MathF.Floor((value + 0.5f) * 255.99f))];
            return new Input(operand with { Values = bytes }, IsBytes: true);
        }

        public OrtValue ToOrtValue()
        {
            if (!IsBytes)
            {
                return Operand.ToOrtValue();
            }
            var value = OrtValue.CreateAllocatedTensorValue(
                OrtAllocator.DefaultInstance,
                TensorElementType.UInt8,
                [.. Operand.Shape]
            );
            Operand.Values.Select(v => (byte)v).ToArray().CopyTo(value.GetTensorMutableDataAsSpan<byte>());
            return value;
        }
    }

    /// <summary>A node's inputs, in its order, and attributes.</summary>
    private sealed record Call(ImmutableArray<Input> Inputs, ImmutableDictionary<string, long> Attributes)
    {
        public const string Name = "MatMulNBits";

        public static readonly ImmutableArray<string> Names = ["x", "codes", "scales", "zero_points"];

        private long Depth => Attributes["K"];
        private long Columns => Attributes["N"];
        private long Bits => Attributes["bits"];
        private long BlockSize => Attributes["block_size"];
        private long Groups => (Depth + BlockSize - 1) / BlockSize;

        public static Call Random(
            int bits,
            int blockSize,
            int columns,
            ElementType type,
            ElementType scales,
            ZeroPoints zeroPoints,
            params ImmutableArray<long> shape
        )
        {
            var random = new Random(11);
            int groups = (int)((shape[^1] + blockSize - 1) / blockSize);
            ImmutableArray<Input> inputs =
            [
                new(Operand.Random(random, type, 2, shape)),
                Input.Bytes(random, columns, groups, blockSize * bits / 8),
                new(Operand.Random(random, scales, 0.05, columns * groups)),
            ];
            inputs = zeroPoints switch
            {
                ZeroPoints.Packed => inputs.Add(Input.Bytes(random, columns * (((groups * bits) + 7) / 8))),
                ZeroPoints.OfScaleType => inputs.Add(
                    new(Operand.Random(random, scales, bits == 4 ? 15 : 255, columns * groups))
                ),
                _ => inputs,
            };
            return new Call(
                inputs,
                ImmutableDictionary
                    .Create<string, long>()
                    .Add("K", shape[^1])
                    .Add("N", columns)
                    .Add("bits", bits)
                    .Add("block_size", blockSize)
            );
        }

        public Call With(int index, Input input) => this with { Inputs = Inputs.SetItem(index, input) };

        public NodeProto ToNode(string domain)
        {
            var node = new NodeProto { OpType = Name, Domain = domain };
            node.Input.AddRange(Names.Take(Inputs.Length));
            node.Output.Add("y");
            node.Attribute.AddRange(Attributes.Select(pair => NodeArgument.Int(pair.Key, pair.Value).Proto));
            return node;
        }

        /// <summary>A model of the node; of x it knows no sizes, and of what is a weight in real models all.</summary>
        public byte[] ToModel(string domain, FunctionProto[] functions)
        {
            IEnumerable<ValueInfoProto> inputs = Names.Zip(
                Inputs,
                (name, input) =>
                    TensorTypes.ValueInfo(
                        name,
                        input.OnnxType,
                        [.. input.Operand.Shape.Select((size, i) => name == "x" ? (Axis)$"x_{i}" : (Axis)(int)size)]
                    )
            );
            Axis[] axes = [.. Inputs[0].Operand.Shape.Select((_, i) => (Axis)$"y_{i}")];
            ValueInfoProto y = TensorTypes.ValueInfo("y", Inputs[0].OnnxType, axes);
            ModelProto model = NodeModel.Of([ToNode(domain)], inputs, [y], functions);
            if (functions.Length > 0)
            {
                model.OpsetImport.Add(new OperatorSetIdProto { Domain = OnnxRuntimeDomain, Version = 1 });
            }
            return model.ToByteArray();
        }

        /// <summary>The page's formula in float64, for float32 outputs.</summary>
        public Operand Exact()
        {
            long rows = Inputs[0].Operand.Values.Length / Depth;
            var y = new float[rows * Columns];
            for (int i = 0; i < y.Length; i++)
            {
                y[i] = (float)
                    Enumerable
                        .Range(0, (int)Depth)
                        .Sum(k => Inputs[0].Operand.Values[(int)((i / Columns * Depth) + k)] * Weight(i % Columns, k));
            }
            return new Operand(ElementType.Float32, [.. Inputs[0].Operand.Shape[..^1], Columns], [.. y]);
        }

        /// <summary>How far rounding x may take an element of y, as the page says.</summary>
        public double Rounding(int index)
        {
            long row = index / Columns;
            double sum = 0;
            for (long first = 0; first < Depth; first += BlockSize)
            {
                int count = (int)Math.Min(BlockSize, Depth - first);
                IEnumerable<long> places = Enumerable.Range(0, count).Select(k => first + k);
                double largest = places.Max(k => Math.Abs(Inputs[0].Operand.Values[(int)((row * Depth) + k)]));
                sum += largest / 254 * places.Sum(k => Math.Abs(Weight(index % Columns, k)));
            }
            return sum;
        }

        private double Weight(long column, long k)
        {
            long group = k / BlockSize;
            double zeroPoint = Bits == 4 ? 8 : 128;
            if (Inputs.Length > 3)
            {
                Input given = Inputs[3];
                zeroPoint = given.IsBytes
                    ? Code(given, column * (((Groups * Bits) + 7) / 8), group)
                    : given.Operand.Values[(int)((column * Groups) + group)];
            }
            int code = Code(Inputs[1], column * Groups * BlockSize * Bits / 8, k);
            return (code - zeroPoint) * Inputs[2].Operand.Values[(int)((column * Groups) + group)];
        }

        private int Code(Input bytes, long start, long index)
        {
            int value = (int)bytes.Operand.Values[(int)(start + (index * Bits / 8))];
            return Bits == 8 ? value : (value >> (int)(index % 2 * 4)) & 15;
        }
    }
}
