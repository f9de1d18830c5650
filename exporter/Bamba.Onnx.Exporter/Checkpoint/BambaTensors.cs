using System.Collections.Immutable;
using System.Globalization;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>
/// The parameters of a Bamba model under their canonical names, those of Hugging Face's <c>BambaForCausalLM</c>. Weights of
/// linear layers are [out, in].
/// </summary>
public static class BambaTensors
{
    /// <summary>The table of token embeddings, [vocab_size, hidden_size].</summary>
    public const string Embedding = "model.embed_tokens.weight";

    /// <summary>The output head, [vocab_size, hidden_size]; a tied model has none of its own.</summary>
    public const string LmHead = "lm_head.weight";

    /// <summary>What the names of all but the output head start with; files of the bare <c>BambaModel</c> lack it.</summary>
    public const string Prefix = "model.";

    /// <summary>The shape of every parameter by canonical name, in the order of the data flow.</summary>
    /// <param name="config">The model.</param>
    /// <returns>Names to shapes, outermost axis first; enumeration keeps the order. Without <see cref="LmHead"/> where it is tied.</returns>
    public static IReadOnlyDictionary<string, ImmutableArray<long>> Of(BambaConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        var shapes = new OrderedDictionary<string, ImmutableArray<long>>
        {
            [Embedding] = [config.VocabSize, config.HiddenSize],
        };
        for (int i = 0; i < config.Layers.Length; i++)
        {
            string layer = string.Create(CultureInfo.InvariantCulture, $"{Prefix}layers.{i}.");
            shapes.Add($"{layer}input_layernorm.weight", [config.HiddenSize]);
            if (config.Layers[i] == LayerKind.Mamba)
            {
                AddMamba(shapes, $"{layer}mamba.", config);
            }
            else
            {
                AddAttention(shapes, $"{layer}self_attn.", config);
            }
            shapes.Add($"{layer}pre_ff_layernorm.weight", [config.HiddenSize]);
            AddMlp(shapes, $"{layer}feed_forward.", config);
        }
        shapes.Add($"{Prefix}final_layernorm.weight", [config.HiddenSize]);
        if (!config.TieWordEmbeddings)
        {
            shapes.Add(LmHead, [config.VocabSize, config.HiddenSize]);
        }
        return shapes;
    }

    private static void AddMamba(
        OrderedDictionary<string, ImmutableArray<long>> shapes,
        string mixer,
        BambaConfig config
    )
    {
        AddLinear(shapes, $"{mixer}in_proj", config.MambaProjectionSize, config.HiddenSize, config.MambaProjBias);
        shapes.Add($"{mixer}conv1d.weight", [config.MambaConvDim, 1, config.MambaConvKernel]);
        if (config.MambaConvBias)
        {
            shapes.Add($"{mixer}conv1d.bias", [config.MambaConvDim]);
        }
        shapes.Add($"{mixer}dt_bias", [config.MambaNumHeads]);
        shapes.Add($"{mixer}A_log", [config.MambaNumHeads]);
        shapes.Add($"{mixer}D", [config.MambaNumHeads]);
        shapes.Add($"{mixer}norm.weight", [config.MambaInnerSize]);
        AddLinear(shapes, $"{mixer}out_proj", config.HiddenSize, config.MambaInnerSize, config.MambaProjBias);
    }

    private static void AddAttention(
        OrderedDictionary<string, ImmutableArray<long>> shapes,
        string mixer,
        BambaConfig config
    )
    {
        long queries = (long)config.NumAttentionHeads * config.HeadDim;
        long keys = (long)config.NumKeyValueHeads * config.HeadDim;
        AddLinear(shapes, $"{mixer}q_proj", queries, config.HiddenSize, config.AttentionBias);
        AddLinear(shapes, $"{mixer}k_proj", keys, config.HiddenSize, config.AttentionBias);
        AddLinear(shapes, $"{mixer}v_proj", keys, config.HiddenSize, config.AttentionBias);
        AddLinear(shapes, $"{mixer}o_proj", config.HiddenSize, queries, config.AttentionBias);
    }

    private static void AddMlp(OrderedDictionary<string, ImmutableArray<long>> shapes, string mlp, BambaConfig config)
    {
        AddLinear(shapes, $"{mlp}gate_proj", config.IntermediateSize, config.HiddenSize, config.MlpBias);
        AddLinear(shapes, $"{mlp}up_proj", config.IntermediateSize, config.HiddenSize, config.MlpBias);
        AddLinear(shapes, $"{mlp}down_proj", config.HiddenSize, config.IntermediateSize, config.MlpBias);
    }

    private static void AddLinear(
        OrderedDictionary<string, ImmutableArray<long>> shapes,
        string name,
        long rows,
        long columns,
        bool bias
    )
    {
        shapes.Add($"{name}.weight", [rows, columns]);
        if (bias)
        {
            shapes.Add($"{name}.bias", [rows]);
        }
    }
}
