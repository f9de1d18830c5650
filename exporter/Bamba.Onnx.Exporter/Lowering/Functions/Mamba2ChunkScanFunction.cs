using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Exporter.Lowering.Functions;

/// <summary>
/// The body of <c>bamba::Mamba2ChunkScan</c> in standard operators, for hosts without the native op: a Scan over chunks of
/// tokens (<see cref="Mamba2ChunkBody"/>) between the cutting of a call into chunks and the joining of their results. One
/// body serves every length from one token up.
/// </summary>
public sealed class Mamba2ChunkScanFunction
{
    private static readonly Value Zxbcdt = new("zxbcdt");
    private static readonly Value PastConvState = new("past_conv_state");

    private readonly Mamba2ChunkScanShape shape;
    private readonly FunctionBuilder function;
    private readonly NodeBuilder g;

    private Mamba2ChunkScanFunction(Mamba2ChunkScanShape shape)
    {
        this.shape = shape;
        function = new FunctionBuilder(
            Mamba2ChunkScanOp.Domain,
            Mamba2ChunkScanOp.Name,
            Mamba2ChunkScanOp.Inputs.Take(Mamba2ChunkScanOp.PaddedInputCount),
            Mamba2ChunkScanOp.Outputs
        ).Attributes(
            Mamba2ChunkScanOp.NumHeads,
            Mamba2ChunkScanOp.HeadDim,
            Mamba2ChunkScanOp.StateSize,
            Mamba2ChunkScanOp.NumGroups,
            Mamba2ChunkScanOp.ChunkSize,
            Mamba2ChunkScanOp.Epsilon,
            Mamba2ChunkScanOp.DtMin,
            Mamba2ChunkScanOp.DtMax,
            Mamba2ChunkScanOp.Activation,
            Mamba2ChunkScanOp.NormGroupSize
        );
        g = function.Nodes;
    }

    /// <summary>Builds the function for one shape.</summary>
    public static FunctionProto Build(Mamba2ChunkScanShape shape)
    {
        ArgumentNullException.ThrowIfNull(shape);
        return new Mamba2ChunkScanFunction(shape).Build();
    }

    private FunctionProto Build()
    {
        Value length = g.Shape(Zxbcdt, 1, 2);
        Value chunk = g.Min(g.Ints(shape.BodyChunkSize), length);
        Value chunks = g.Div(g.Sub(g.Add(length, chunk), g.Ints(1)), chunk);
        Value padded = g.Mul(chunk, chunks);

        (Value valid, Value windowIndices) = Lengths(chunk, chunks, padded);
        var body = new Mamba2ChunkBody(shape, g, chunk);
        Value window = g.Transpose(g.Cast(PastConvState, ElementType.Float32), 0, 2, 1);
        Value lastWindow = new("last_window");
        Value chunkedY = new("chunked_y");
        g.NodeInto(
            "",
            "Scan",
            [window, new Value("past_recurrent_state"), Chunks(length, chunk, chunks, padded), valid, windowIndices],
            [lastWindow, new Value("present_recurrent_state"), chunkedY],
            NodeArgument.Graph("body", body.Build()),
            NodeArgument.Int("num_scan_inputs", 3)
        );

        JoinChunks(chunkedY, length, padded);
        Value convState = g.Transpose(lastWindow, 0, 2, 1);
        g.NodeInto("", "CastLike", [convState, PastConvState], [new Value("present_conv_state")]);
        return function.Build();
    }

    /// <summary>zxbcdt as [chunks, batch, chunk, channels], the tail filled with zeros.</summary>
    private Value Chunks(Value length, Value chunk, Value chunks, Value padded)
    {
        Value batch = g.Shape(Zxbcdt, 0, 1);
        Value channels = g.Shape(Zxbcdt, 2, 3);
        Value zero = g.CastLike(g.Float(0), Zxbcdt);
        Value tail = g.Expand(g.Reshape(zero, 1, 1, 1), g.Concat(0, batch, g.Sub(padded, length), channels));
        Value whole = g.Concat(1, Zxbcdt, tail);
        return g.Transpose(g.Reshape(whole, g.Concat(0, batch, chunks, chunk, channels)), 1, 0, 2, 3);
    }

    /// <summary>
    /// Which tokens of each chunk are real, [chunks, batch, chunk] bool, and where the next convolution window lies in the
    /// old window followed by the chunk: its last K − 1 real tokens, [chunks, batch, K − 1] int64.
    /// </summary>
    private (Value Valid, Value WindowIndices) Lengths(Value chunk, Value chunks, Value padded)
    {
        Value lens = g.Cast(new Value("seq_lens"), ElementType.Int64);
        Value positions = g.Reshape(g.Range(g.Squeeze(padded, 0)), g.Concat(0, chunks, g.Ints(1), chunk));
        Value valid = g.Less(positions, g.Unsqueeze(lens, 0, 2));

        Value starts = g.Unsqueeze(g.Mul(g.Range(g.Squeeze(chunks, 0)), chunk), 1);
        Value realTokens = g.Max(g.Min(g.Sub(g.Unsqueeze(lens, 0), starts), chunk), g.Ints(0));
        Value window = g.Ints([.. Enumerable.Range(0, shape.ConvKernel - 1).Select(i => (long)i)]);
        return (valid, g.Add(g.Unsqueeze(realTokens, 2), window));
    }

    /// <summary>y from [chunks, batch, chunk, E] float32 to [batch, length, E] of T.</summary>
    private void JoinChunks(Value y, Value length, Value padded)
    {
        Value rows = g.Transpose(y, 1, 0, 2, 3);
        Value joined = g.Reshape(rows, g.Concat(0, g.Ints(0), padded, g.Ints(shape.InnerSize)));
        Value cut = g.Slice(joined, g.Ints(0), length, 1);
        g.NodeInto("", "CastLike", [cut, Zxbcdt], [new Value("y")]);
    }
}
