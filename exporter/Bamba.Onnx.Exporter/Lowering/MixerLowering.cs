using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Lowers <see cref="BambaMixer"/> to in_proj, one <c>bamba::Mamba2ChunkScan</c>, out_proj.</summary>
internal static class MixerLowering
{
    public static Value Lower(LoweringContext context, BambaMixer module, int layer, Value x)
    {
        NodeBuilder g = context.Nodes;
        using IDisposable scope = g.Scope("mamba");
        var shape = Mamba2ChunkScanShape.Of(context.Config, module.Norm.GroupSize, context.Dtype);
        Value zxbcdt = LinearLowering.Lower(context, $"{module.Path}.in_proj", module.InProj, x);

        context.Model.Function(
            Mamba2ChunkScanOp.Domain,
            Mamba2ChunkScanOp.Name,
            () => Mamba2ChunkScanFunction.Build(shape)
        );
        Value y = new($"/{module.Path}/y");
        (CacheSpec conv, CacheSpec recurrent) = (
            context.Cache(layer, CacheKind.ConvState),
            context.Cache(layer, CacheKind.RecurrentState)
        );
        g.NodeInto(
            Mamba2ChunkScanOp.Domain,
            Mamba2ChunkScanOp.Name,
            [
                zxbcdt,
                context.Float32Parameter($"{module.Path}.conv1d.weight", shape.ConvDim, shape.ConvKernel),
                ConvBias(context, module, shape),
                context.Float32Parameter($"{module.Path}.A_log", shape.NumHeads),
                context.Float32Parameter($"{module.Path}.D", shape.NumHeads),
                context.Float32Parameter($"{module.Path}.dt_bias", shape.NumHeads),
                context.Float32Parameter($"{module.Path}.norm.weight", shape.InnerSize),
                new Value(conv.Past.Name),
                new Value(recurrent.Past.Name),
                context.Door.SeqLens,
            ],
            [y, new Value(conv.Present.Name), new Value(recurrent.Present.Name)],
            shape.Attributes()
        );
        return LinearLowering.Lower(context, $"{module.Path}.out_proj", module.OutProj, y);
    }

    /// <summary>The bias of the convolution; a function body cannot do without an input, so zeros stand in for an absent one.</summary>
    private static Value ConvBias(LoweringContext context, BambaMixer module, Mamba2ChunkScanShape shape) =>
        context.Config.MambaConvBias
            ? context.Float32Parameter($"{module.Path}.conv1d.bias", shape.ConvDim)
            : context.Generated("conv1d.zero_bias", ElementType.Float32, [shape.ConvDim], (_, row) => row.Clear());
}
