using System.Globalization;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers <see cref="BambaDecoderLayer"/>: a mixer and an MLP, each behind a norm and added to the residual stream.</summary>
internal static class DecoderLayerLowering
{
    /// <summary>Lowers a layer.</summary>
    /// <param name="context">Where nodes and weights go.</param>
    /// <param name="module">The layer.</param>
    /// <param name="stream">The residual stream: the layer's input, and after it the layer's output.</param>
    public static void Lower(LoweringContext context, BambaDecoderLayer module, ResidualStream stream)
    {
        using IDisposable scope = context.Nodes.Scope(
            string.Create(CultureInfo.InvariantCulture, $"layers.{module.Index}")
        );
        Value normed = RmsNormLowering.Lower(context, module.InputLayerNorm, stream);
        ModelLowering.HiddenStatesOutput(context, module.Index, stream.Sum);
        stream.Append(
            module.Mamba is { } mamba
                ? MixerLowering.Lower(context, mamba, module.Index, normed)
                : AttentionLowering.Lower(context, module.SelfAttn!, module.Index, normed)
        );
        normed = RmsNormLowering.Lower(context, module.PreFfLayerNorm, stream);
        stream.Append(MlpLowering.Lower(context, module.FeedForward, normed));
    }
}
