using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers <see cref="BambaModel"/>: embeddings, decoder layers, final norm.</summary>
internal static class ModelLowering
{
    /// <summary>Appends the model and, where asked for, its <c>hidden_states</c> outputs.</summary>
    /// <returns>The final-normed hidden states, [batch, length, hidden_size] of T, real tokens first.</returns>
    public static Value Lower(LoweringContext context, BambaModel module)
    {
        NodeBuilder g = context.Nodes;
        using IDisposable scope = g.Scope("model");
        Value embedded = MatrixLowering.Rows(
            context,
            $"{module.Path}.embed_tokens.weight",
            (context.Config.VocabSize, context.Config.HiddenSize),
            context.Door.InputIds
        );
        var stream = new ResidualStream(embedded);
        foreach (BambaDecoderLayer layer in module.Layers)
        {
            DecoderLayerLowering.Lower(context, layer, stream);
        }
        Value hidden = RmsNormLowering.Lower(context, module.FinalLayerNorm, stream);
        HiddenStatesOutput(context, module.Layers.Count, hidden);
        return hidden;
    }

    /// <summary>Makes the input of a layer, or at last the normed output, a result of the graph, where the caller asked for it.</summary>
    public static void HiddenStatesOutput(LoweringContext context, int index, Value hidden)
    {
        if (context.Options.OutputHiddenStates)
        {
            Value ordered = context.Door.InInputOrder(context.Nodes, hidden);
            context.Nodes.NodeInto("", "Identity", [ordered], [new Value(TensorNames.HiddenStates(index))]);
        }
    }
}
