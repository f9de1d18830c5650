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
        Value embeddings = context.Parameter(
            $"{module.Path}.embed_tokens.weight",
            context.Config.VocabSize,
            context.Config.HiddenSize
        );
        Value hidden = g.Gather(embeddings, context.Door.InputIds);
        HiddenStatesOutput(context, 0, hidden);
        for (int layer = 0; layer < module.Layers.Count; layer++)
        {
            hidden = DecoderLayerLowering.Lower(context, module.Layers[layer], hidden);
            if (layer < module.Layers.Count - 1)
            {
                HiddenStatesOutput(context, layer + 1, hidden);
            }
        }
        hidden = RmsNormLowering.Lower(context, module.FinalLayerNorm, hidden);
        HiddenStatesOutput(context, module.Layers.Count, hidden);
        return hidden;
    }

    private static void HiddenStatesOutput(LoweringContext context, int index, Value hidden)
    {
        if (context.Options.OutputHiddenStates)
        {
            Value ordered = context.Door.InInputOrder(context.Nodes, hidden);
            context.Nodes.NodeInto("", "Identity", [ordered], [new Value(TensorNames.HiddenStates(index))]);
        }
    }
}
