using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers <see cref="BambaMlp"/>: down(silu(gate(x)) · up(x)).</summary>
internal static class MlpLowering
{
    public static Value Lower(LoweringContext context, BambaMlp module, Value x)
    {
        NodeBuilder g = context.Nodes;
        using IDisposable scope = g.Scope("feed_forward");
        Value gate = LinearLowering.Lower(context, $"{module.Path}.gate_proj", module.GateProj, x);
        Value up = LinearLowering.Lower(context, $"{module.Path}.up_proj", module.UpProj, x);
        return LinearLowering.Lower(context, $"{module.Path}.down_proj", module.DownProj, g.Mul(g.Silu(gate), up));
    }
}
