using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers the head of <see cref="BambaForCausalLM"/>: the positions asked for, times lm_head, as float32 logits.</summary>
internal static class CausalLMLowering
{
    public static void Lower(LoweringContext context, BambaForCausalLM module, Value hidden, LogitsPositions positions)
    {
        NodeBuilder g = context.Nodes;
        using IDisposable scope = g.Scope("lm_head");
        Value kept =
            positions == LogitsPositions.Last
                ? context.Door.OfLastToken(g, hidden, context.Config.HiddenSize)
                : context.Door.InInputOrder(g, hidden);
        Value logits = context.Config.TieWordEmbeddings ? TiedHead(context, module, kept) : Head(context, kept);
        g.NodeInto(
            "",
            "Cast",
            [logits],
            [new Value(TensorNames.Logits)],
            NodeArgument.Int("to", (long)ElementType.Float32.ToOnnx())
        );
    }

    private static Value Head(LoweringContext context, Value hidden) =>
        context.Nodes.MatMul(
            hidden,
            context.Matrix("lm_head.weight", ["lm_head.weight"], context.Config.VocabSize, context.Config.HiddenSize)
        );

    /// <summary>The embedding table stays as it is, stored once; Gemm multiplies by its transpose.</summary>
    private static Value TiedHead(LoweringContext context, BambaForCausalLM module, Value hidden)
    {
        NodeBuilder g = context.Nodes;
        int hiddenSize = context.Config.HiddenSize;
        Value embeddings = context.Parameter(
            $"{module.Model.Path}.embed_tokens.weight",
            context.Config.VocabSize,
            hiddenSize
        );
        Value rows = g.Reshape(hidden, -1, hiddenSize);
        Value logits = g.Node("Gemm", [rows, embeddings], NodeArgument.Int("transB", 1));
        Value shape = g.Concat(0, g.Shape(hidden, 0, 2), g.Ints(context.Config.VocabSize));
        return g.Reshape(logits, shape);
    }
}
