using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Native.Tests;

/// <summary>The adapter of <c>bamba::SwiGLU</c>, against its page in custom-ops/README.md.</summary>
public sealed class SwiGluTests
{
    private static readonly ElementType[] Types = [ElementType.Float32, ElementType.Float16, ElementType.BFloat16];

    public static MatrixTheoryData<ElementType, long[]> Calls =>
        new(
            Types,
            [
                [6],
                [1, 2],
                [5, 34],
                [2, 3, 64],
                [1, 1, 1, 30],
                [0, 4],
                [3, 0],
                [2, 0, 8],
                [700, 200],
            ]
        );

    [Theory]
    [MemberData(nameof(Calls))]
    public void The_first_half_gates_the_second_whatever_the_rank(ElementType type, long[] shape)
    {
        Operand x = Operand.Random(new Random(3), type, 8, [.. shape]);
        Operand y = Run(x);
        Assert.Equal(type, y.Type);
        Assert.Equal([.. shape[..^1], shape[^1] / 2], y.Shape);
        int width = (int)(shape[^1] / 2);
        double relative = type switch
        {
            ElementType.Float32 => 1e-6,
            ElementType.Float16 => Math.Pow(2, -10),
            _ => Math.Pow(2, -7),
        };
        for (int i = 0; i < y.Values.Length; i++)
        {
            int at = (i / width * 2 * width) + (i % width);
            double expected = x.Values[at] / (1 + Math.Exp(-x.Values[at])) * x.Values[at + width];
            Assert.InRange(y.Values[i] - expected, -Tolerance(expected), Tolerance(expected));
        }

        double Tolerance(double expected) => Math.Max(relative * Math.Abs(expected), 1e-7);
    }

    [Theory]
    [InlineData(ElementType.Float32, 1e-6)]
    [InlineData(ElementType.Float16, 1e-3)]
    public void Kernel_and_function_agree(ElementType type, double relative)
    {
        foreach (
            ImmutableArray<long> shape in (ImmutableArray<long>[])
                [
                    [3, 5, 34],
                    [1, 1, 2],
                    [0, 4],
                ]
        )
        {
            Operand x = Operand.Random(new Random(4), type, 8, shape);
            Operand kernel = Run(x);
            Operand function = Run(x, library: false);
            Assert.Equal(function.Shape, kernel.Shape);
            foreach ((float expected, float actual) in function.Values.Zip(kernel.Values))
            {
                // ONNX Runtime's sigmoid is off by up to 1e-7, which gate and up multiply by up to 64.
                double tolerance = Math.Max(relative * Math.Abs(expected), 64e-7);
                Assert.InRange(actual - expected, -tolerance, tolerance);
            }
        }
    }

    [Fact]
    public void Many_threads_give_what_one_gives()
    {
        Operand x = Operand.Random(new Random(5), ElementType.Float32, 8, 999, 302);
        Assert.Equal(Run(x, threads: 1).Values, Run(x, threads: 4).Values);
    }

    [Theory]
    [InlineData(new long[] { 2, 7 }, "SwiGLU: x: axis 1 (2 I): expected a multiple of 2, found 7")]
    [InlineData(new long[] { 2, 3, 1 }, "SwiGLU: x: axis 2 (2 I): expected a multiple of 2, found 1")]
    [InlineData(new long[] { }, "SwiGLU: x: expected rank 1 or more, found rank 0")]
    public void A_shape_without_two_halves_is_refused(long[] shape, string complaint)
    {
        foreach (bool known in (bool[])[false, true])
        {
            Operand x = Operand.Random(new Random(6), ElementType.Float32, 1, [.. shape]);
            var error = Assert.ThrowsAny<OnnxRuntimeException>(() => Run(x, known: known));
            Assert.Contains(complaint, error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(ElementType.Int32, "int32")]
    [InlineData(ElementType.Int64, "int64")]
    public void Another_element_type_is_refused(ElementType type, string name)
    {
        Operand x = Operand.Random(new Random(7), ElementType.Float32, 1, 2, 4) with { Type = type };
        var error = Assert.ThrowsAny<OnnxRuntimeException>(() => Run(x));
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
    }

    /// <summary>Runs a model of one node.</summary>
    /// <param name="x">Its input.</param>
    /// <param name="library">Whether the library computes it, or the function.</param>
    /// <param name="threads">Threads of the session; 0 for ONNX Runtime's own choice.</param>
    /// <param name="known">Whether the model says the input's sizes.</param>
    private static Operand Run(Operand x, bool library = true, int threads = 0, bool known = false)
    {
        var node = new NodeProto { OpType = SwiGluFunction.Name, Domain = Mamba2ChunkScanOp.Domain };
        node.Input.Add("x");
        node.Output.Add("y");
        Axis[] axes = [.. x.Shape.Select((size, i) => known ? (Axis)(int)size : (Axis)$"x_{i}")];
        Axis[] outputAxes = [.. x.Shape.Select((_, i) => (Axis)$"y_{i}")];
        FunctionProto[] functions = library ? [] : [SwiGluFunction.Build()];
        byte[] model = NodeModel
            .Of(
                [node],
                [TensorTypes.ValueInfo("x", x.Type.ToOnnx(), axes)],
                [TensorTypes.ValueInfo("y", x.Type.ToOnnx(), outputAxes)],
                functions
            )
            .ToByteArray();
        using var options = new SessionOptions
        {
            IntraOpNumThreads = threads,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL,
        };
        if (library)
        {
            options.RegisterCustomOpLibrary(NativeBuild.Library);
        }
        using var session = new InferenceSession(model, options);
        using OrtValue input = x.ToOrtValue();
        using var runOptions = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(runOptions, ["x"], [input], ["y"]);
        return Operand.Of(outputs[0]);
    }
}
