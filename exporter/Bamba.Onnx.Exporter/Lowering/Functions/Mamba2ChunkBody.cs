using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Exporter.Lowering.Functions;

/// <summary>
/// One chunk of the Mamba-2 scan, the body of a Scan: the chunked form of state space duality (Dao and Gu 2024, section 6)
/// with convolution, D skip and gated norm around it, float32 throughout.
/// Carried: the convolution window [batch, K − 1, Cd] and the recurrent state [batch, H, P, N].
/// Each step: the chunk's zxbcdt [batch, q, E + Cd + H] of T, real tokens [batch, q] bool, window indices [batch, K − 1].
/// In comments l and s count tokens of the chunk, and a sum of dt · A over tokens is called decay.
/// </summary>
internal sealed class Mamba2ChunkBody
{
    private readonly Mamba2ChunkScanShape shape;
    private readonly NodeBuilder outer;
    private readonly Value[] taps;
    private readonly Value a;
    private readonly Value lowerTriangle;
    private readonly Value upperTriangle;

    /// <summary>Prepares what all chunks share: taps of the convolution, A, and triangles of ones.</summary>
    public Mamba2ChunkBody(Mamba2ChunkScanShape shape, NodeBuilder outer, Value chunk)
    {
        this.shape = shape;
        this.outer = outer;
        taps = outer.Split(
            outer.Transpose(new Value("conv_weight"), 1, 0),
            0,
            [.. Enumerable.Repeat(1L, shape.ConvKernel)]
        );
        a = outer.Neg(outer.Exp(new Value("A_log")));
        Value tokens = outer.Range(outer.Squeeze(chunk, 0));
        Value from = outer.Unsqueeze(tokens, 1);
        Value to = outer.Unsqueeze(tokens, 0);
        lowerTriangle = outer.Cast(outer.GreaterOrEqual(from, to), ElementType.Float32);
        upperTriangle = outer.Cast(outer.GreaterOrEqual(to, from), ElementType.Float32);
    }

    /// <summary>The body as a subgraph.</summary>
    public GraphProto Build() =>
        outer.Subgraph(
            "chunk",
            (graph, g) =>
            {
                long window = shape.ConvKernel - 1;
                Input(graph, "window", DataType.Float, [AxisNames.Batch, (int)window, shape.ConvDim]);
                Input(graph, "state", DataType.Float, StateAxes);
                // zxbcdt keeps T: its type follows from the scanned input.
                graph.Input.Add(new ValueInfoProto { Name = "chunk_zxbcdt" });
                Input(graph, "chunk_valid", DataType.Bool, [AxisNames.Batch, "chunk"]);
                Input(graph, "chunk_window", DataType.Int64, [AxisNames.Batch, (int)window]);

                Value valid = g.Unsqueeze(new Value("chunk_valid"), 2);
                Value zxbcdt = g.Where(valid, g.Cast(new Value("chunk_zxbcdt"), ElementType.Float32), g.Float(0));
                Value[] parts = g.Split(zxbcdt, 2, shape.InnerSize, shape.ConvDim, shape.NumHeads);
                Value xbc = Convolve(g, parts[1]);
                Value[] xBC = g.Split(xbc, 2, shape.InnerSize, shape.GroupStateSize, shape.GroupStateSize);
                Value y = ScanChunk(g, xBC[0], xBC[1], xBC[2], TimeSteps(g, parts[2], valid));
                Value gated = GatedNorm(g, y, parts[0]);
                g.NodeInto("", "Where", [valid, gated, g.Float(0)], [new Value("chunk_y")]);

                Output(graph, "next_window", [AxisNames.Batch, (int)window, shape.ConvDim]);
                Output(graph, "next_state", StateAxes);
                Output(graph, "chunk_y", [AxisNames.Batch, "chunk", shape.InnerSize]);
            }
        );

    private Axis[] StateAxes => [AxisNames.Batch, shape.NumHeads, shape.HeadDim, shape.StateSize];

    /// <summary>The causal depthwise convolution as K shifted products, then SiLU: [batch, q, Cd].</summary>
    private Value Convolve(NodeBuilder g, Value xbc)
    {
        Value extended = g.Concat(1, new Value("window"), xbc);
        g.NodeInto(
            "",
            "GatherND",
            [extended, g.Unsqueeze(new Value("chunk_window"), 2)],
            [new Value("next_window")],
            NodeArgument.Int("batch_dims", 1)
        );
        Value sum = new("conv_bias");
        int last = shape.ConvKernel - 1;
        for (int w = 0; w <= last; w++)
        {
            Value end = g.Ints(w == last ? long.MaxValue : w - last);
            sum = g.Add(sum, g.Mul(g.Slice(extended, g.Ints(w), end, 1), taps[w]));
        }
        return g.Silu(sum);
    }

    /// <summary>dt after bias, softplus and clamp, 0 where the token is not real: [batch, q, H].</summary>
    private Value TimeSteps(NodeBuilder g, Value raw, Value valid)
    {
        Value dt = g.Node("Softplus", [g.Add(raw, new Value("dt_bias"))]);
        if (shape.ClampsDt)
        {
            Value max = float.IsPositiveInfinity(shape.DtMax) ? Value.None : g.Float(shape.DtMax);
            dt = g.Node("Clip", [dt, g.Float(shape.DtMin), max]);
        }
        return g.Mul(dt, g.Cast(valid, ElementType.Float32));
    }

    /// <summary>The scan of one chunk with the D skip, [batch, q, E]; makes <c>next_state</c>.</summary>
    private Value ScanChunk(NodeBuilder g, Value x, Value b, Value c, Value dt)
    {
        Value decayOfStep = g.Mul(dt, a);
        Value decay = g.MatMul(lowerTriangle, decayOfStep); // [batch, l, H]: from the chunk's start up to and with l
        Value xHeads = g.Reshape(x, 0, 0, shape.NumHeads, shape.HeadDim);
        Value xdt = g.Mul(xHeads, g.Unsqueeze(dt, 3)); // [batch, l, H, P]
        Value bGroups = Groups(g, b); // [batch, G, l, N]
        Value cGroups = Groups(g, c);

        Value inside = WithinChunk(g, decayOfStep, xdt, bGroups, cGroups);
        Value fromState = FromState(g, cGroups); // [batch, G, l, H/G·P]
        NextState(g, decay, xdt, bGroups, fromState);

        Value fromStateHeads = g.Reshape(g.Transpose(fromState, 0, 2, 1, 3), 0, 0, shape.NumHeads, shape.HeadDim);
        Value carried = g.Mul(fromStateHeads, g.Unsqueeze(g.Exp(decay), 3));
        Value skip = g.Mul(xHeads, g.Reshape(new Value("D"), shape.NumHeads, 1));
        Value y = g.Add(g.Add(g.Transpose(inside, 0, 2, 1, 3), carried), skip);
        return g.Reshape(y, 0, 0, shape.InnerSize);
    }

    /// <summary>What tokens of the chunk give each other: (C_l · B_s) exp(decay from s to l) dt_s x_s for s ≤ l, [batch, H, l, P].</summary>
    private Value WithinChunk(NodeBuilder g, Value decayOfStep, Value xdt, Value b, Value c)
    {
        Value decay = g.MatMul(g.Transpose(decayOfStep, 0, 2, 1), upperTriangle); // [batch, H, l]
        // Above the diagonal the difference is positive and its exponential may overflow: there it is cut to 0, then masked.
        Value segment = g.Exp(g.Min(g.Sub(g.Unsqueeze(decay, 3), g.Unsqueeze(decay, 2)), g.Float(0)));
        Value scores = g.Mul(g.MatMul(c, g.Transpose(b, 0, 1, 3, 2)), lowerTriangle); // [batch, G, l, s]
        Value weights = shape.NumGroups == 1 ? g.Mul(segment, scores) : PerGroup(g, segment, scores);
        return g.MatMul(weights, g.Transpose(xdt, 0, 2, 1, 3));
    }

    /// <summary>[batch, H, l, s] times [batch, G, l, s], each group serving its block of consecutive heads.</summary>
    private Value PerGroup(NodeBuilder g, Value segment, Value scores)
    {
        Value square = g.Shape(segment, 2, 4);
        Value byGroup = g.Reshape(
            segment,
            g.Concat(0, g.Ints(0, shape.NumGroups, shape.NumHeads / shape.NumGroups), square)
        );
        return g.Reshape(g.Mul(byGroup, g.Unsqueeze(scores, 2)), g.Concat(0, g.Ints(0, shape.NumHeads), square));
    }

    /// <summary>C_l times the state that the chunk starts from, [batch, G, l, H/G·P].</summary>
    private Value FromState(NodeBuilder g, Value c) => g.MatMul(c, g.Transpose(StateByGroup(g), 0, 1, 3, 2));

    private Value StateByGroup(NodeBuilder g) =>
        g.Reshape(new Value("state"), 0, shape.NumGroups, shape.GroupChannels, shape.StateSize);

    /// <summary>
    /// <c>next_state</c> = exp(decay of the chunk) · state + Σ_l exp(decay after l) dt_l x_l ⊗ B_l.
    /// Past and present may be one buffer, and ONNX Runtime may run this before <see cref="FromState"/> has read the past. So
    /// the factor of the state is joined with an empty slice of that reader's result: a dependency that no optimizer removes.
    /// </summary>
    private void NextState(NodeBuilder g, Value decay, Value xdt, Value b, Value fromState)
    {
        Value whole = g.Slice(decay, g.Ints(-1), g.Ints(long.MaxValue), 1); // [batch, 1, H]
        Value remaining = g.Exp(g.Sub(whole, decay)); // [batch, l, H]
        Value inputs = g.Reshape(g.Mul(xdt, g.Unsqueeze(remaining, 3)), 0, 0, shape.NumGroups, shape.GroupChannels);
        Value update = g.MatMul(g.Transpose(inputs, 0, 2, 3, 1), b); // [batch, G, H/G·P, N]

        Value perHead = g.Transpose(g.Exp(whole), 0, 2, 1); // [batch, H, 1]
        Value perChannel = g.Expand(perHead, g.Ints(1, 1, shape.HeadDim));
        Value factor = g.Reshape(perChannel, 0, shape.NumGroups, 1, shape.GroupChannels);
        Value afterReader = g.Concat(2, factor, g.Slice(fromState, g.Ints(0), g.Ints(0), 2));
        Value kept = g.Mul(StateByGroup(g), g.Reshape(afterReader, 0, shape.NumGroups, shape.GroupChannels, 1));
        g.NodeInto(
            "",
            "Reshape",
            [g.Add(kept, update), g.Ints(0, shape.NumHeads, shape.HeadDim, shape.StateSize)],
            [new Value("next_state")]
        );
    }

    /// <summary>y · silu(z), then RMS norm over each group of channels, then the weight: [batch, q, E].</summary>
    private Value GatedNorm(NodeBuilder g, Value y, Value z)
    {
        Value gated = g.Mul(y, g.Silu(z));
        if (shape.NormGroupSize == shape.InnerSize)
        {
            return g.Mul(g.RmsNormalize(gated, shape.Epsilon), new Value("norm_weight"));
        }
        Value byGroup = g.Reshape(gated, 0, 0, -1, shape.NormGroupSize);
        return g.Mul(
            g.Reshape(g.RmsNormalize(byGroup, shape.Epsilon), 0, 0, shape.InnerSize),
            new Value("norm_weight")
        );
    }

    /// <summary>[batch, l, G·N] as [batch, G, l, N].</summary>
    private Value Groups(NodeBuilder g, Value value) =>
        g.Transpose(g.Reshape(value, 0, 0, shape.NumGroups, shape.StateSize), 0, 2, 1, 3);

    private static void Input(GraphProto graph, string name, DataType type, ReadOnlySpan<Axis> axes) =>
        graph.Input.Add(TensorTypes.ValueInfo(name, type, axes));

    private static void Output(GraphProto graph, string name, ReadOnlySpan<Axis> axes) =>
        graph.Output.Add(TensorTypes.ValueInfo(name, DataType.Float, axes));
}
