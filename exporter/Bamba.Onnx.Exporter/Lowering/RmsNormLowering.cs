using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// Lowers <see cref="RmsNorm"/> to <c>com.microsoft::SkipSimplifiedLayerNormalization</c>, which adds what the residual stream is
/// owed and norms the sum in float32.
/// </summary>
/// <remarks>
/// The operator always adds. Where nothing is owed, the stream is added to itself: a sum twice as large has a mean square four
/// times as large, so four times epsilon gives the same quotient, to the bit, since powers of two round nothing. ONNX Runtime's
/// norm without an addition is no choice: it lies in ONNX's own domain, where other tools do not know it.
/// </remarks>
internal static class RmsNormLowering
{
    /// <summary>Norms the residual stream.</summary>
    /// <returns>[batch, length, hidden_size] of T.</returns>
    public static Value Lower(LoweringContext context, RmsNorm module, ResidualStream stream)
    {
        context.Model.Import(LoweringContext.ContribDomain, 1);
        float epsilon = (float)context.Config.RmsNormEps;
        Value weight = context.Parameter($"{module.Path}.weight", context.Config.HiddenSize);
        Value normed = new($"/{module.Path}/normed");
        if (stream.Appended is not { } appended)
        {
            context.Nodes.NodeInto(
                LoweringContext.ContribDomain,
                "SkipSimplifiedLayerNormalization",
                [stream.Sum, stream.Sum, weight],
                [normed],
                NodeArgument.Float("epsilon", 4 * epsilon)
            );
            return normed;
        }
        // Between the norm and the sum the operator has two outputs that only training reads.
        Value sum = new($"/{module.Path}/sum");
        context.Nodes.NodeInto(
            LoweringContext.ContribDomain,
            "SkipSimplifiedLayerNormalization",
            [stream.Sum, appended, weight],
            [normed, Value.None, Value.None, sum],
            NodeArgument.Float("epsilon", epsilon)
        );
        stream.Added(sum);
        return normed;
    }
}
