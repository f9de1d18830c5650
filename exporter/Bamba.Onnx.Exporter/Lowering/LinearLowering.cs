using Bamba.Onnx.Graph;
using TorchSharp.Modules;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers a linear layer to a product with its transposed weight, and an addition where it has a bias.</summary>
internal static class LinearLowering
{
    /// <param name="context">Where nodes and weights go.</param>
    /// <param name="path">The layer's path in the checkpoint.</param>
    /// <param name="module">The layer.</param>
    /// <param name="x">[…, inputs] of T.</param>
    /// <returns>[…, outputs] of T.</returns>
    public static Value Lower(LoweringContext context, string path, Linear module, Value x)
    {
        NodeBuilder g = context.Nodes;
        using IDisposable scope = g.Scope(path[(path.LastIndexOf('.') + 1)..]);
        long outputs = module.weight.shape[0];
        Value product = g.MatMul(x, context.Matrix($"{path}.weight", outputs, module.weight.shape[1]));
        return module.bias is null ? product : g.Add(product, context.Parameter($"{path}.bias", outputs));
    }
}
