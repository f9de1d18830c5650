using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// Lowers <see cref="RmsNorm"/> to <c>com.microsoft::SkipSimplifiedLayerNormalization</c>, which adds what the residual stream is
/// owed and norms the sum in float32; where nothing is owed, to <c>bamba::RMSNorm</c>.
/// </summary>
internal static class RmsNormLowering
{
    /// <summary>Norms the residual stream.</summary>
    /// <returns>[batch, length, hidden_size] of T.</returns>
    public static Value Lower(LoweringContext context, RmsNorm module, ResidualStream stream)
    {
        float epsilon = (float)context.Config.RmsNormEps;
        Value weight = context.Parameter($"{module.Path}.weight", context.Config.HiddenSize);
        if (stream.Appended is not { } appended)
        {
            return context.Call(
                RmsNormFunction.Name,
                () => RmsNormFunction.Build(epsilon),
                [stream.Sum, weight],
                1,
                NodeArgument.Float(RmsNormFunction.Epsilon, epsilon)
            )[0];
        }
        context.Model.Import(LoweringContext.ContribDomain, 1);
        // Between the norm and the sum the operator has two outputs that only training reads.
        Value[] outputs = [new($"/{module.Path}/normed"), new(""), new(""), new($"/{module.Path}/sum")];
        context.Nodes.NodeInto(
            LoweringContext.ContribDomain,
            "SkipSimplifiedLayerNormalization",
            [stream.Sum, appended, weight],
            outputs,
            NodeArgument.Float("epsilon", epsilon)
        );
        stream.Added(outputs[3]);
        return outputs[0];
    }
}
