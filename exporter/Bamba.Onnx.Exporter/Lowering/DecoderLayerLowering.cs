using System.Globalization;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers <see cref="BambaDecoderLayer"/>: a mixer and an MLP, each behind a norm and added to the residual stream.</summary>
internal static class DecoderLayerLowering
{
    public static Value Lower(LoweringContext context, BambaDecoderLayer module, Value hidden)
    {
        NodeBuilder g = context.Nodes;
        using IDisposable scope = g.Scope(string.Create(CultureInfo.InvariantCulture, $"layers.{module.Index}"));
        Value normed = RmsNormLowering.Lower(context, module.InputLayerNorm, hidden);
        Value mixed = module.Mamba is { } mamba
            ? MixerLowering.Lower(context, mamba, module.Index, normed)
            : AttentionLowering.Lower(context, module.SelfAttn!, module.Index, normed);
        hidden = g.Add(hidden, mixed);
        normed = RmsNormLowering.Lower(context, module.PreFfLayerNorm, hidden);
        return g.Add(hidden, MlpLowering.Lower(context, module.FeedForward, normed));
    }
}
