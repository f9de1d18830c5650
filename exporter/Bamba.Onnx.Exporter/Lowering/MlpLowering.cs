using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers <see cref="BambaMlp"/>: down(silu(gate(x)) · up(x)), gate and up as one product.</summary>
internal static class MlpLowering
{
    public static Value Lower(LoweringContext context, BambaMlp module, Value x)
    {
        using IDisposable scope = context.Nodes.Scope("feed_forward");
        Value gateAndUp = LinearLowering.LowerTogether(
            context,
            module.Path,
            "gate_up_proj",
            [("gate_proj", module.GateProj), ("up_proj", module.UpProj)],
            x
        );
        Value gated = context.Call(SwiGluFunction.Name, SwiGluFunction.Build, [gateAndUp], 1)[0];
        return LinearLowering.Lower(context, $"{module.Path}.down_proj", module.DownProj, gated);
    }
}
