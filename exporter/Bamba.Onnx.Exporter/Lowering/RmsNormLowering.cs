using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// Lowers <see cref="RmsNorm"/> to <c>com.microsoft::SkipSimplifiedLayerNormalization</c>, which adds what the residual stream is
/// owed and norms the sum in float32; where nothing is owed, to ONNX Runtime's <c>SimplifiedLayerNormalization</c>.
/// </summary>
internal static class RmsNormLowering
{
    /// <summary>Norms the residual stream.</summary>
    /// <returns>[batch, length, hidden_size] of T.</returns>
    public static Value Lower(LoweringContext context, RmsNorm module, ResidualStream stream)
    {
        NodeArgument epsilon = NodeArgument.Float("epsilon", (float)context.Config.RmsNormEps);
        Value weight = context.Parameter($"{module.Path}.weight", context.Config.HiddenSize);
        Value normed = new($"/{module.Path}/normed");
        if (stream.Appended is not { } appended)
        {
            // ONNX Runtime keeps this operator of its own in ONNX's domain.
            context.Nodes.NodeInto(
                "",
                "SimplifiedLayerNormalization",
                [stream.Sum, weight],
                [normed],
                NodeArgument.Int("axis", -1),
                epsilon
            );
            return normed;
        }
        context.Model.Import(LoweringContext.ContribDomain, 1);
        // Between the norm and the sum the operator has two outputs that only training reads.
        Value sum = new($"/{module.Path}/sum");
        context.Nodes.NodeInto(
            LoweringContext.ContribDomain,
            "SkipSimplifiedLayerNormalization",
            [stream.Sum, appended, weight],
            [normed, Value.None, Value.None, sum],
            epsilon
        );
        stream.Added(sum);
        return normed;
    }
}
