using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;
using static Bamba.Onnx.Graph.NodeArgument;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// Lowers <see cref="BambaAttention"/> to projections around <c>com.microsoft::GroupQueryAttention</c>, which keeps the cache,
/// rotates queries and keys where it can, and has kernels on every provider.
/// </summary>
internal static class AttentionLowering
{
    // GroupQueryAttention rotates only in pairs of as many elements as a multiple of this.
    private const int RotaryPairMultiple = 8;

    public static Value Lower(LoweringContext context, BambaAttention module, int layer, Value x)
    {
        NodeBuilder g = context.Nodes;
        using IDisposable scope = g.Scope("self_attn");
        BambaConfig config = context.Config;
        Value query = LinearLowering.Lower(context, $"{module.Path}.q_proj", module.QProj, x);
        Value key = LinearLowering.Lower(context, $"{module.Path}.k_proj", module.KProj, x);
        Value value = LinearLowering.Lower(context, $"{module.Path}.v_proj", module.VProj, x);

        int rotaryDim = config.Rope.RotaryDim;
        bool rotatesInside = rotaryDim > 0 && rotaryDim / 2 % RotaryPairMultiple == 0;
        Value[] tables =
            rotaryDim > 0 ? [RotaryTable(context, "cos", Math.Cos), RotaryTable(context, "sin", Math.Sin)] : [];
        if (rotaryDim > 0 && !rotatesInside)
        {
            query = Rotate(context, query, tables);
            key = Rotate(context, key, tables);
        }

        Value output = new($"/{module.Path}/attended");
        context.Model.Import(LoweringContext.ContribDomain, 1);
        g.NodeInto(
            LoweringContext.ContribDomain,
            "GroupQueryAttention",
            [
                query,
                key,
                value,
                new Value(TensorNames.Past(layer, CacheKind.Key)),
                new Value(TensorNames.Past(layer, CacheKind.Value)),
                context.Door.AttentionLens,
                context.Door.TotalLength,
                .. rotatesInside ? tables : [],
            ],
            [
                output,
                new Value(TensorNames.Present(layer, CacheKind.Key)),
                new Value(TensorNames.Present(layer, CacheKind.Value)),
            ],
            Int("num_heads", config.NumAttentionHeads),
            Int("kv_num_heads", config.NumKeyValueHeads),
            Float("scale", (float)(1 / Math.Sqrt(config.HeadDim))),
            Int("do_rotary", rotatesInside ? 1 : 0)
        );
        return LinearLowering.Lower(context, $"{module.Path}.o_proj", module.OProj, output);
    }

    private static Value Rotate(LoweringContext context, Value x, Value[] tables) =>
        context.Call(
            RotaryEmbeddingFunction.Name,
            () => RotaryEmbeddingFunction.Build(context.Config.HeadDim, context.Config.Rope.RotaryDim),
            [x, context.Positions, .. tables],
            1
        )[0];

    /// <summary>cos or sin of position · inverse frequency, [context length, R / 2] of T. The angle is float32, as in training.</summary>
    private static Value RotaryTable(LoweringContext context, string name, Func<double, double> function)
    {
        float[] frequencies = context.Config.Rope.InverseFrequencies();
        return context.Generated(
            $"rotary_emb.{name}",
            context.Dtype,
            [context.ContextLength, frequencies.Length],
            (position, row) =>
            {
                for (int i = 0; i < row.Length; i++)
                {
                    row[i] = (float)function(position * frequencies[i]);
                }
            }
        );
    }
}
