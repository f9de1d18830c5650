using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Graph.Proto;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Exporter.Tests.Lowering;

public sealed class Mamba2ChunkScanFunctionTests
{
    private static readonly Mamba2ChunkScanShape Base = new(
        NumHeads: 6,
        HeadDim: 5,
        StateSize: 7,
        NumGroups: 1,
        ConvKernel: 4,
        ChunkSize: 16,
        BodyChunkSize: 16,
        Epsilon: 1e-5f,
        DtMin: 0,
        DtMax: float.PositiveInfinity,
        NormGroupSize: 30
    );

    public static TheoryData<string> Shapes => [.. ShapesByName.Keys];

    private static readonly Dictionary<string, Mamba2ChunkScanShape> ShapesByName = new()
    {
        ["base"] = Base,
        ["two groups"] = Base with { NumGroups = 2 },
        ["three groups, norm by group"] = Base with { NumGroups = 3, NormGroupSize = 10 },
        ["two taps"] = Base with { ConvKernel = 2 },
        ["dt limits"] = Base with { DtMin = 0.3f, DtMax = 0.9f },
        ["chunk of one"] = Base with { BodyChunkSize = 1 },
        ["chunk of five"] = Base with { BodyChunkSize = 5 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_body_equals_the_recurrence_for_every_length_and_mask(string name)
    {
        Mamba2ChunkScanShape shape = ShapesByName[name];
        using var model = new Mamba2OpModel(shape);
        foreach (int length in (int[])[1, 2, 3, 4, 15, 16, 17, 31, 33, 64])
        {
            foreach (
                int[] seqLens in (int[][])
                    [
                        [length, length, length],
                        [length, length / 2, 0],
                        [1, length - 1, length],
                    ]
            )
            {
                Mamba2Case call = Mamba2Case.Random(shape, length, seqLens, seed: length);
                AssertClose(Mamba2Recurrence.Run(call), model.Run(call, inPlace: false), 1e-5);
            }
        }
    }

    public static TheoryData<bool, ExecutionMode, GraphOptimizationLevel> Orders
    {
        get
        {
            var orders = new TheoryData<bool, ExecutionMode, GraphOptimizationLevel>();
            foreach (bool writersFirst in (bool[])[false, true])
            {
                foreach (ExecutionMode mode in Enum.GetValues<ExecutionMode>())
                {
                    foreach (GraphOptimizationLevel level in Enum.GetValues<GraphOptimizationLevel>())
                    {
                        orders.Add(writersFirst, mode, level);
                    }
                }
            }
            return orders;
        }
    }

    [Theory]
    [MemberData(nameof(Orders))]
    public void Past_and_present_may_be_one_buffer_in_any_order_of_execution(
        bool writersFirst,
        ExecutionMode mode,
        GraphOptimizationLevel level
    )
    {
        using var options = new SessionOptions { ExecutionMode = mode, GraphOptimizationLevel = level };
        using var model = new Mamba2OpModel(Base, options, writersFirst);
        foreach (int length in (int[])[1, 9, 16, 40])
        {
            Mamba2Case call = Mamba2Case.Random(Base, length, [length, length / 2], seed: 7);
            Mamba2Result apart = model.Run(call, inPlace: false);
            Mamba2Result inPlace = model.Run(call, inPlace: true);
            Assert.Equal(apart.Y, inPlace.Y);
            Assert.Equal(apart.ConvState, inPlace.ConvState);
            Assert.Equal(apart.RecurrentState, inPlace.RecurrentState);
        }
    }

    [Fact]
    public void The_next_state_waits_for_every_reader_of_the_past_one()
    {
        // An order that happens to be right today proves nothing, so the dependency itself is looked for.
        GraphProto body = Mamba2ChunkScanFunction
            .Build(Base)
            .Node.Single(node => node.OpType == "Scan")
            .Attribute.Single(attribute => attribute.Name == "body")
            .G;
        var needed = new HashSet<string> { "next_state" };
        var readers = new HashSet<string> { "state" };
        foreach (NodeProto node in body.Node.Reverse())
        {
            if (node.Output.Any(needed.Contains))
            {
                needed.UnionWith(node.Input);
            }
        }
        // A view of the state is the state: what reads the view reads the buffer.
        NodeProto[] views = [.. body.Node.Where(node => node.OpType == "Reshape" && node.Input[0] == "state")];
        readers.UnionWith(views.Select(node => node.Output[0]));
        NodeProto[] reading = [.. body.Node.Where(node => node.Input.Any(readers.Contains))];
        Assert.True(reading.Length >= 3);
        Assert.All(reading, node => Assert.Contains(node.Output[0], needed));
        NodeProto transpose = Assert.Single(reading, node => node.OpType == "Transpose");
        NodeProto product = Assert.Single(body.Node, node => node.Input.Contains(transpose.Output[0]));
        Assert.Equal("MatMul", product.OpType);
        Assert.Contains(product.Output[0], needed);
    }

    [Fact]
    public void A_row_without_real_tokens_keeps_its_states_bit_for_bit_and_gives_zeros()
    {
        using var model = new Mamba2OpModel(Base);
        Mamba2Case call = Mamba2Case.Random(Base, 20, [0, 0], seed: 3);
        Mamba2Result result = model.Run(call, inPlace: false);
        Assert.Equal(call.PastConvState, result.ConvState);
        Assert.Equal(call.PastRecurrentState, result.RecurrentState);
        Assert.All(result.Y, value => Assert.Equal(0f, value));
    }

    [Fact]
    public void Two_calls_on_the_carried_states_equal_one_call()
    {
        using var model = new Mamba2OpModel(Base);
        Mamba2Case whole = Mamba2Case.Random(Base, 37, [37], seed: 11);
        Mamba2Result expected = model.Run(whole, inPlace: false);
        for (int cut = 1; cut < 37; cut += 5)
        {
            Mamba2Result first = model.Run(Part(whole, 0, cut, whole.PastConvState, whole.PastRecurrentState), false);
            Mamba2Result second = model.Run(Part(whole, cut, 37, first.ConvState, first.RecurrentState), false);
            AssertClose(expected, second with { Y = [.. first.Y, .. second.Y] }, 1e-5);
        }

        static Mamba2Case Part(Mamba2Case whole, int start, int end, float[] conv, float[] state) =>
            new()
            {
                Shape = whole.Shape,
                Batch = 1,
                Length = end - start,
                SeqLens = [end - start],
                Zxbcdt = whole.Zxbcdt[(start * whole.Channels)..(end * whole.Channels)],
                ConvWeight = whole.ConvWeight,
                ConvBias = whole.ConvBias,
                ALog = whole.ALog,
                D = whole.D,
                DtBias = whole.DtBias,
                NormWeight = whole.NormWeight,
                PastConvState = conv,
                PastRecurrentState = state,
            };
    }

    private static void AssertClose(Mamba2Result expected, Mamba2Result actual, double tolerance)
    {
        AssertClose(expected.Y, actual.Y, tolerance);
        AssertClose(expected.ConvState, actual.ConvState, tolerance);
        AssertClose(expected.RecurrentState, actual.RecurrentState, tolerance);
    }

    private static void AssertClose(float[] expected, float[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        double scale = Math.Max(1, expected.Max(Math.Abs));
        for (int i = 0; i < expected.Length; i++)
        {
            // Written so that NaN fails.
            Assert.True(Math.Abs(expected[i] - actual[i]) <= tolerance * scale, $"[{i}] {expected[i]} vs {actual[i]}");
        }
    }
}
