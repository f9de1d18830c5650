using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// One layer (Hugging Face's <c>BambaDecoderLayer</c>): a mixer, then a feed-forward network, each behind a norm and added
/// to the residual stream.
/// </summary>
public sealed class BambaDecoderLayer : BambaModule<LayerInput, LayerOutput>
{
    /// <summary>Creates the layer of an index.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layer.</exception>
    public BambaDecoderLayer(string path, BambaConfig config, BambaModuleOptions options, int index)
        : base(path, config)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, config.Layers.Length);
        Index = index;
        InputLayerNorm = new RmsNorm(ChildPath("input_layernorm"), config, options);
        if (Kind == LayerKind.Mamba)
        {
            Mamba = new BambaMixer(ChildPath("mamba"), config, options);
        }
        else
        {
            SelfAttn = new BambaAttention(ChildPath("self_attn"), config, options);
        }
        PreFfLayerNorm = new RmsNorm(ChildPath("pre_ff_layernorm"), config, options);
        FeedForward = new BambaMlp(ChildPath("feed_forward"), config, options);
        RegisterComponents();
    }

    /// <summary>Its place in the model, from 0.</summary>
    public int Index { get; }

    /// <summary>What mixes its tokens.</summary>
    public LayerKind Kind => Config.Layers[Index];

    /// <summary>The norm in front of the mixer.</summary>
    [field: ComponentName(Name = "input_layernorm")]
    public RmsNorm InputLayerNorm { get; }

    /// <summary>The mixer of a Mamba layer, else null.</summary>
    [field: ComponentName(Name = "mamba")]
    public BambaMixer? Mamba { get; }

    /// <summary>The mixer of an attention layer, else null.</summary>
    [field: ComponentName(Name = "self_attn")]
    public BambaAttention? SelfAttn { get; }

    /// <summary>The norm in front of the feed-forward network.</summary>
    [field: ComponentName(Name = "pre_ff_layernorm")]
    public RmsNorm PreFfLayerNorm { get; }

    /// <summary>The feed-forward network.</summary>
    [field: ComponentName(Name = "feed_forward")]
    public BambaMlp FeedForward { get; }

    /// <summary>Computes the layer.</summary>
    public override LayerOutput forward(LayerInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using DisposeScope scope = NewDisposeScope();
        LayerInput normed = input with { Hidden = InputLayerNorm.call(input.Hidden) };
        LayerOutput mixed = Mamba?.call(normed) ?? SelfAttn!.call(normed);
        Tensor residual = input.Hidden.Plus(mixed.Hidden);
        Tensor hidden = residual.Plus(FeedForward.call(PreFfLayerNorm.call(residual)));
        return (mixed with { Hidden = hidden }).MoveToOuterDisposeScope();
    }
}
