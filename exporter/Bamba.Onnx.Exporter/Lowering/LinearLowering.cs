using System.Collections.Immutable;
using Bamba.Onnx.Graph;
using TorchSharp.Modules;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// Lowers a linear layer to a product with its transposed weight, and an addition where it has a bias; several that read the
/// same input to one product.
/// </summary>
internal static class LinearLowering
{
    /// <summary>Lowers one layer.</summary>
    /// <param name="context">Where nodes and weights go.</param>
    /// <param name="path">The layer's path in the checkpoint.</param>
    /// <param name="module">The layer.</param>
    /// <param name="x">[…, inputs] of T.</param>
    /// <returns>[…, outputs] of T.</returns>
    public static Value Lower(LoweringContext context, string path, Linear module, Value x)
    {
        (string parent, string name) = (path[..path.LastIndexOf('.')], path[(path.LastIndexOf('.') + 1)..]);
        return LowerTogether(context, parent, name, [(name, module)], x);
    }

    /// <summary>Lowers layers of one input: their outputs side by side, as one matrix gives them.</summary>
    /// <param name="context">Where nodes and weights go.</param>
    /// <param name="parent">The path of the module that has the layers.</param>
    /// <param name="name">What they are called together.</param>
    /// <param name="layers">The layers, all of them with a bias or none, and their names in the checkpoint.</param>
    /// <param name="x">[…, inputs] of T.</param>
    /// <returns>[…, the sum of outputs] of T.</returns>
    public static Value LowerTogether(
        LoweringContext context,
        string parent,
        string name,
        ImmutableArray<(string Name, Linear Module)> layers,
        Value x
    )
    {
        NodeBuilder g = context.Nodes;
        using IDisposable scope = g.Scope(name);
        long inputs = layers[0].Module.weight.shape[1];
        long outputs = layers.Sum(layer => layer.Module.weight.shape[0]);
        Value product = MatrixLowering.Product(
            context,
            $"{parent}.{name}.weight",
            TensorsOf("weight"),
            (outputs, inputs),
            x
        );
        return layers[0].Module.bias is null
            ? product
            : g.Add(product, context.Parameter($"{parent}.{name}.bias", TensorsOf("bias"), outputs));

        ImmutableArray<string> TensorsOf(string kind) => [.. layers.Select(layer => $"{parent}.{layer.Name}.{kind}")];
    }
}
