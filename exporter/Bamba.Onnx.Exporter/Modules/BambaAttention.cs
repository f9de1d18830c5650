using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// Causal grouped-query attention (Ainslie et al. 2023; Hugging Face's <c>BambaAttention</c>). Query heads
/// <c>g·r … g·r + r − 1</c> share key and value head g. Keys are rotated before they are cached.
/// </summary>
public sealed class BambaAttention : BambaModule<LayerInput, LayerOutput>
{
    /// <summary>Creates the attention of one layer.</summary>
    public BambaAttention(string path, BambaConfig config, BambaModuleOptions options)
        : base(path, config)
    {
        long queryWidth = (long)config.NumAttentionHeads * config.HeadDim;
        long keyWidth = (long)config.NumKeyValueHeads * config.HeadDim;
        QProj = options.NewLinear(config.HiddenSize, queryWidth, config.AttentionBias);
        KProj = options.NewLinear(config.HiddenSize, keyWidth, config.AttentionBias);
        VProj = options.NewLinear(config.HiddenSize, keyWidth, config.AttentionBias);
        OProj = options.NewLinear(queryWidth, config.HiddenSize, config.AttentionBias);
        RegisterComponents();
    }

    /// <summary>Weight [heads · head_dim, hidden_size].</summary>
    [field: ComponentName(Name = "q_proj")]
    public Linear QProj { get; }

    /// <summary>Weight [kv_heads · head_dim, hidden_size].</summary>
    [field: ComponentName(Name = "k_proj")]
    public Linear KProj { get; }

    /// <summary>Weight [kv_heads · head_dim, hidden_size].</summary>
    [field: ComponentName(Name = "v_proj")]
    public Linear VProj { get; }

    /// <summary>Weight [hidden_size, heads · head_dim].</summary>
    [field: ComponentName(Name = "o_proj")]
    public Linear OProj { get; }

    /// <summary>Mixes tokens.</summary>
    public override LayerOutput forward(LayerInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using DisposeScope scope = NewDisposeScope();
        var past = (AttentionLayerCache?)input.Past;
        Tensor queries = RotaryEmbedding.Rotate(Heads(QProj, input.Hidden), input.Angles);
        Tensor addedKeys = RotaryEmbedding.Rotate(Heads(KProj, input.Hidden), input.Angles);
        Tensor keys = input.Layout.Append(past?.Keys, addedKeys);
        Tensor values = input.Layout.Append(past?.Values, Heads(VProj, input.Hidden));

        Tensor weights = Weights(queries, keys, input.Layout.VisibleKeys());
        Tensor mixed = matmul(nn.functional.dropout(weights, Config.AttentionDropout, training), values.unsqueeze(2));
        Tensor hidden = OProj.call(mixed.flatten(1, 2).transpose(1, 2).flatten(2));
        return new LayerOutput(
            hidden,
            input.UseCache ? new AttentionLayerCache(keys, values) : null,
            input.OutputAttentions ? weights.flatten(1, 2) : null
        ).MoveToOuterDisposeScope();
    }

    /// <summary>Probabilities of keys, [batch, kv_heads, heads / kv_heads, tokens, keys], summed in float32 at least.</summary>
    private Tensor Weights(Tensor queries, Tensor keys, Tensor visible)
    {
        Tensor grouped = queries.unflatten(1, Config.NumKeyValueHeads, -1);
        Tensor scores = matmul(grouped, keys.unsqueeze(2).transpose(-1, -2)) / Math.Sqrt(Config.HeadDim);
        Tensor masked = scores.Widen().Fill(visible.unsqueeze(1).logical_not(), double.NegativeInfinity);
        return masked.softmax(-1).to_type(queries.dtype);
    }

    /// <summary>[batch, tokens, hidden_size] to [batch, heads, tokens, head_dim].</summary>
    private Tensor Heads(Linear projection, Tensor hidden) =>
        projection.call(hidden).unflatten(2, -1, Config.HeadDim).transpose(1, 2);
}
