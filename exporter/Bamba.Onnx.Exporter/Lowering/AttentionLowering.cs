using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Graph;
using static Bamba.Onnx.Graph.NodeArgument;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// Lowers <see cref="BambaAttention"/> to <c>com.microsoft::GroupQueryAttention</c> between two products. It takes queries, keys
/// and values from one of them, keeps the cache, and rotates queries and keys where it can.
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
        Value packed = LinearLowering.LowerTogether(
            context,
            module.Path,
            "qkv_proj",
            [("q_proj", module.QProj), ("k_proj", module.KProj), ("v_proj", module.VProj)],
            x
        );

        int rotaryDim = config.Rope.RotaryDim;
        bool rotatesInside = rotaryDim > 0 && rotaryDim / 2 % RotaryPairMultiple == 0;
        Value[] tables =
            rotaryDim > 0 ? [RotaryTable(context, "cos", Math.Cos), RotaryTable(context, "sin", Math.Sin)] : [];
        // Queries, keys and values as the product gives them, side by side, are one input, unless some need a hand in between.
        Value[] inputs =
            rotaryDim > 0 && !rotatesInside ? RotatedApart(context, packed, tables) : [packed, Value.None, Value.None];

        Value output = new($"/{module.Path}/attended");
        (CacheSpec keys, CacheSpec values) = (
            context.Cache(layer, CacheKind.Key),
            context.Cache(layer, CacheKind.Value)
        );
        context.Model.Import(LoweringContext.ContribDomain, 1);
        g.NodeInto(
            LoweringContext.ContribDomain,
            "GroupQueryAttention",
            [
                .. inputs,
                new Value(keys.Past.Name),
                new Value(values.Past.Name),
                context.Door.AttentionLens,
                context.Door.TotalLength,
                .. rotatesInside ? tables : [],
            ],
            [output, new Value(keys.Present.Name), new Value(values.Present.Name)],
            Int("num_heads", config.NumAttentionHeads),
            Int("kv_num_heads", config.NumKeyValueHeads),
            Float("scale", (float)(1 / Math.Sqrt(config.HeadDim))),
            Int("do_rotary", rotatesInside ? 1 : 0)
        );
        return LinearLowering.Lower(context, $"{module.Path}.o_proj", module.OProj, output);
    }

    /// <summary>Queries and keys, rotated, and values, each by itself.</summary>
    private static Value[] RotatedApart(LoweringContext context, Value packed, Value[] tables)
    {
        BambaConfig config = context.Config;
        long queries = (long)config.NumAttentionHeads * config.HeadDim;
        long keys = (long)config.NumKeyValueHeads * config.HeadDim;
        Value[] parts = context.Nodes.Split(packed, 2, queries, keys, keys);
        return [Rotate(context, parts[0], tables), Rotate(context, parts[1], tables), parts[2]];
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
