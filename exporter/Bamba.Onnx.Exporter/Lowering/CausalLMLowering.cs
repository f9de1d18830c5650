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
        Value logits = Head(context, $"{module.Model.Path}.embed_tokens.weight", kept);
        g.NodeInto(
            "",
            "Cast",
            [logits],
            [new Value(TensorNames.Logits)],
            NodeArgument.Int("to", (long)ElementType.Float32.ToOnnx())
        );
    }

    private static Value Head(LoweringContext context, string embeddings, Value hidden)
    {
        const string Name = "lm_head.weight";
        (long, long) size = (context.Config.VocabSize, context.Config.HiddenSize);
        return context.Config.TieWordEmbeddings
            ? MatrixLowering.TiedProduct(context, Name, embeddings, size, hidden)
            : MatrixLowering.Product(context, Name, [Name], size, hidden);
    }
}
