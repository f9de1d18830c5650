using System.Collections.Immutable;

namespace Bamba.Onnx.Contract;

/// <summary>
/// The architecture of a Bamba model: Hugging Face's <c>BambaConfig</c>, read once from any spelling of config.json that
/// transformers 4.48 to 5.17 write, validated and immutable. Lengths are counts of elements unless a unit is given.
/// </summary>
public sealed record BambaConfig
{
    /// <summary>Hugging Face's model type.</summary>
    public const string ModelType = "bamba";

    /// <summary>
    /// The key under which a config.json whose <c>model_type</c> is written for another host keeps the checkpoint's own.
    /// </summary>
    public const string SourceModelTypeKey = "source_model_type";

    internal BambaConfig() { }

    /// <summary>Rows of the embedding table (<c>vocab_size</c>).</summary>
    public required int VocabSize { get; init; }

    /// <summary>Width of the residual stream (<c>hidden_size</c>).</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Inner width of the MLP (<c>intermediate_size</c>).</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The mixer of each layer, in order.</summary>
    public required ImmutableArray<LayerKind> Layers { get; init; }

    /// <summary>Query heads (<c>num_attention_heads</c>).</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Key and value heads (<c>num_key_value_heads</c>).</summary>
    public required int NumKeyValueHeads { get; init; }

    /// <summary>Elements of an attention head (<c>head_dim</c>, else hidden size over heads).</summary>
    public required int HeadDim { get; init; }

    /// <summary>Rotary embedding of queries and keys.</summary>
    public required RopeParameters Rope { get; init; }

    /// <summary>Bias of the q, k, v and o projections (<c>attention_bias</c>).</summary>
    public required bool AttentionBias { get; init; }

    /// <summary>Dropout probability of attention weights while training (<c>attention_dropout</c>).</summary>
    public required double AttentionDropout { get; init; }

    /// <summary>Bias of the MLP projections (<c>mlp_bias</c>).</summary>
    public required bool MlpBias { get; init; }

    /// <summary>H, heads of the Mamba-2 mixer (<c>mamba_n_heads</c>).</summary>
    public required int MambaNumHeads { get; init; }

    /// <summary>P, elements of a Mamba head (<c>mamba_d_head</c>).</summary>
    public required int MambaHeadDim { get; init; }

    /// <summary>G, groups that share B and C (<c>mamba_n_groups</c>).</summary>
    public required int MambaNumGroups { get; init; }

    /// <summary>N, state elements for each channel (<c>mamba_d_state</c>).</summary>
    public required int MambaStateSize { get; init; }

    /// <summary>K, taps of the causal convolution (<c>mamba_d_conv</c>).</summary>
    public required int MambaConvKernel { get; init; }

    /// <summary>Q, tokens of a chunk of the scan (<c>mamba_chunk_size</c>); it changes speed, not results.</summary>
    public required int MambaChunkSize { get; init; }

    /// <summary>Whether the convolution has a bias (<c>mamba_conv_bias</c>).</summary>
    public required bool MambaConvBias { get; init; }

    /// <summary>Whether in_proj and out_proj have a bias (<c>mamba_proj_bias</c>).</summary>
    public required bool MambaProjBias { get; init; }

    /// <summary>Lower clamp of dt after softplus (<c>time_step_limit[0]</c>).</summary>
    public required float TimeStepMin { get; init; }

    /// <summary>Upper clamp of dt after softplus, infinity for none (<c>time_step_limit[1]</c>).</summary>
    public required float TimeStepMax { get; init; }

    /// <summary>Epsilon of every RMS norm (<c>rms_norm_eps</c>).</summary>
    public required double RmsNormEps { get; init; }

    /// <summary>Whether lm_head is the embedding table (<c>tie_word_embeddings</c>).</summary>
    public required bool TieWordEmbeddings { get; init; }

    /// <summary>Most positions of a sequence (<c>max_position_embeddings</c>), tokens.</summary>
    public required int MaxPositionEmbeddings { get; init; }

    /// <summary>Standard deviation of fresh weights (<c>initializer_range</c>).</summary>
    public required double InitializerRange { get; init; }

    /// <summary>Weight of the z-loss when training (<c>z_loss_coefficient</c>), 0 for none.</summary>
    public required double ZLossCoefficient { get; init; }

    /// <summary>The padding token (<c>pad_token_id</c>).</summary>
    public int? PadTokenId { get; init; }

    /// <summary>The token that starts a text (<c>bos_token_id</c>).</summary>
    public int? BosTokenId { get; init; }

    /// <summary>The tokens that end a text (<c>eos_token_id</c>).</summary>
    public required ImmutableArray<int> EosTokenIds { get; init; }

    /// <summary>The element type that the checkpoint says it has (<c>dtype</c>, <c>torch_dtype</c>).</summary>
    public ElementType? Dtype { get; init; }

    /// <summary>E = H · P, width of the Mamba mixer.</summary>
    public int MambaInnerSize => MambaNumHeads * MambaHeadDim;

    /// <summary>Cd = E + 2·G·N, channels of the causal convolution: x, B and C.</summary>
    public int MambaConvDim => MambaInnerSize + (2 * MambaNumGroups * MambaStateSize);

    /// <summary>E + Cd + H, rows of in_proj: z, xBC and dt.</summary>
    public int MambaProjectionSize => MambaInnerSize + MambaConvDim + MambaNumHeads;

    /// <summary>Reads and validates a config.json.</summary>
    /// <exception cref="BambaFormatException">The file is missing, unreadable, or a value is absent, of a wrong kind or contradicts another.</exception>
    public static BambaConfig Load(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Parse(JsonFile.ReadAllBytes(path), path);
    }

    /// <summary>Reads and validates the text of a config.json.</summary>
    /// <param name="json">UTF-8 JSON; Python's bare <c>Infinity</c> is accepted.</param>
    /// <param name="source">What error messages call the text.</param>
    /// <exception cref="BambaFormatException">A value is absent, of a wrong kind or contradicts another.</exception>
    public static BambaConfig Parse(ReadOnlySpan<byte> json, string source) => BambaConfigReader.Read(json, source);

    /// <summary>Whether two configurations describe the same model.</summary>
    public bool Equals(BambaConfig? other) =>
        other is not null
        && Layers.SequenceEqual(other.Layers)
        && EosTokenIds.SequenceEqual(other.EosTokenIds)
        && Comparable().Equals(other.Comparable());

    /// <inheritdoc/>
    public override int GetHashCode() => Comparable().GetHashCode();

    private object Comparable() =>
        (
            (VocabSize, HiddenSize, IntermediateSize, NumAttentionHeads, NumKeyValueHeads, HeadDim, Rope),
            (AttentionBias, AttentionDropout, MlpBias, RmsNormEps, TieWordEmbeddings, MaxPositionEmbeddings),
            (MambaNumHeads, MambaHeadDim, MambaNumGroups, MambaStateSize, MambaConvKernel, MambaChunkSize),
            (MambaConvBias, MambaProjBias, TimeStepMin, TimeStepMax, InitializerRange, ZLossCoefficient),
            (PadTokenId, BosTokenId, Dtype)
        );
}
