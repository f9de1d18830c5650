using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// Embeddings, decoder layers and final norm (Hugging Face's <c>BambaModel</c>). Unlike there, positions continue after a
/// cache by themselves, masked tokens do not exist wherever they are, and packed sequences never see each other.
/// </summary>
public sealed class BambaModel : BambaModule<BambaInputs, BambaModelOutputs>
{
    /// <summary>Creates the model, with fresh weights unless it is on the meta device.</summary>
    /// <param name="config">Its shape.</param>
    /// <param name="options">How its parameters are made; null for float32 on the CPU.</param>
    /// <param name="path">Where it is in a checkpoint: <c>model</c> in one of <see cref="BambaForCausalLM"/>.</param>
    public BambaModel(BambaConfig config, BambaModuleOptions? options = null, string path = "model")
        : base(path, config)
    {
        options ??= new BambaModuleOptions();
        EmbedTokens = new TokenEmbedding(ChildPath("embed_tokens"), config, options);
        Layers = new ModuleList<BambaDecoderLayer>([
            .. Enumerable
                .Range(0, config.Layers.Length)
                .Select(i => new BambaDecoderLayer(ChildPath($"layers.{i}"), config, options, i)),
        ]);
        FinalLayerNorm = new RmsNorm(ChildPath("final_layernorm"), config, options);
        RotaryEmbedding = new RotaryEmbedding(ChildPath("rotary_emb"), config);
        RegisterComponents();
        ParameterInitializer.Initialize(this, config);
    }

    /// <summary>The table of token embeddings.</summary>
    [field: ComponentName(Name = "embed_tokens")]
    public TokenEmbedding EmbedTokens { get; }

    /// <summary>The layers in order.</summary>
    [field: ComponentName(Name = "layers")]
    public ModuleList<BambaDecoderLayer> Layers { get; }

    /// <summary>The norm behind the last layer.</summary>
    [field: ComponentName(Name = "final_layernorm")]
    public RmsNorm FinalLayerNorm { get; }

    /// <summary>The rotation of queries and keys, shared by all attention layers.</summary>
    [field: ComponentName(Name = "rotary_emb")]
    public RotaryEmbedding RotaryEmbedding { get; }

    /// <summary>Computes the hidden states. Labels and what concerns logits is ignored here.</summary>
    /// <exception cref="ArgumentException">The inputs are malformed or contradict each other; the message says how.</exception>
    public override BambaModelOutputs forward(BambaInputs input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using DisposeScope scope = NewDisposeScope();
        BambaModelOutputs outputs = Compute(input, TokenLayoutReader.Read(input, Layers.Count));
        outputs.MoveOutOf(scope);
        return outputs;
    }

    internal BambaModelOutputs Compute(BambaInputs input, TokenLayout layout)
    {
        bool useCache = input.UseCache ?? input.Cache is not null;
        RotaryAngles angles = RotaryEmbedding.call(TokenLayoutReader.Positions(input, layout));
        Tensor hidden = layout.Compact(Embed(input));
        var hiddenStates = new List<Tensor>();
        var attentions = new List<Tensor>();
        var caches = ImmutableArray.CreateBuilder<LayerCache>();
        for (int i = 0; i < Layers.Count; i++)
        {
            hiddenStates.Add(hidden);
            LayerOutput output = Layers[i]
                .call(
                    new LayerInput
                    {
                        Hidden = hidden,
                        Layout = layout,
                        Angles = angles,
                        Past = input.Cache?.Layers[i],
                        UseCache = useCache,
                        OutputAttentions = input.OutputAttentions,
                    }
                );
            hidden = output.Hidden;
            if (output.Present is { } present)
            {
                caches.Add(present);
            }
            if (output.Attention is { } attention)
            {
                attentions.Add(attention);
            }
        }
        Tensor last = layout.Restore(FinalLayerNorm.call(hidden));
        return new BambaModelOutputs
        {
            LastHiddenState = last,
            HiddenStates = input.OutputHiddenStates ? [.. hiddenStates.Select(h => layout.Restore(h)), last] : null,
            Attentions = input.OutputAttentions ? [.. attentions.Select(a => layout.Restore(a, axis: 2))] : null,
            Cache = useCache
                ? new BambaCache(
                    [.. layout.PastLengths.Zip(layout.Lengths, (past, now) => past + now)],
                    caches.ToImmutable()
                )
                : null,
        };
    }

    private Tensor Embed(BambaInputs input)
    {
        if (input.InputIds is { } ids)
        {
            return EmbedTokens.call(ids);
        }
        Tensor embeddings = input.InputsEmbeds!;
        InputChecks.RequireShape(
            embeddings,
            nameof(input.InputsEmbeds),
            embeddings.shape[0],
            embeddings.shape[1],
            Config.HiddenSize
        );
        return embeddings.to_type(EmbedTokens.Weight.dtype).alias();
    }
}
