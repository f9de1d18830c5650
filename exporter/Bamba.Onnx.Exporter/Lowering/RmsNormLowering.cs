using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers <see cref="RmsNorm"/> to <c>bamba::RMSNorm</c>.</summary>
internal static class RmsNormLowering
{
    public static Value Lower(LoweringContext context, RmsNorm module, Value x)
    {
        float epsilon = (float)context.Config.RmsNormEps;
        Value weight = context.Parameter($"{module.Path}.weight", context.Config.HiddenSize);
        return context.Call(
            RmsNormFunction.Name,
            () => RmsNormFunction.Build(epsilon),
            [x, weight],
            1,
            NodeArgument.Float(RmsNormFunction.Epsilon, epsilon)
        )[0];
    }
}
