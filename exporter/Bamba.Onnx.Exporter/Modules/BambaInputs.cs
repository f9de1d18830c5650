using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// What a forward pass takes, Hugging Face's arguments of <c>BambaForCausalLM.forward</c>. All tensors are borrowed. Null
/// means that the caller did not say. A batch comes in one of two forms: rows of one sequence each, padded where a mask
/// says so, or one row of several sequences, whose limits <see cref="SeqIdx"/> or <see cref="CuSeqLensQ"/> give.
/// </summary>
public sealed record BambaInputs
{
    /// <summary>Token ids, [batch, tokens] int64. Either these or <see cref="InputsEmbeds"/>.</summary>
    public Tensor? InputIds { get; init; }

    /// <summary>Embeddings in place of token ids, [batch, tokens, hidden_size].</summary>
    public Tensor? InputsEmbeds { get; init; }

    /// <summary>
    /// Not 0 for real tokens, [batch, earlier columns + tokens] integer or bool; null for all. Masked tokens do not exist, wherever
    /// they are: a row gives what it gives without them. The earlier columns sum to the row's length in <see cref="Cache"/>.
    /// </summary>
    public Tensor? AttentionMask { get; init; }

    /// <summary>
    /// Positions for the rotary embedding, [batch or 1, tokens] int64; null to count each sequence's real tokens, those in
    /// <see cref="Cache"/> included.
    /// </summary>
    public Tensor? PositionIds { get; init; }

    /// <summary>The state to continue from; null to start afresh. It is not changed.</summary>
    public BambaCache? Cache { get; init; }

    /// <summary>Whether to return a cache; null for yes if one was given.</summary>
    public bool? UseCache { get; init; }

    /// <summary>The sequence of each token, [1, tokens] int32, from 0, never decreasing.</summary>
    public Tensor? SeqIdx { get; init; }

    /// <summary>Where each sequence starts, then the number of tokens, [sequences + 1] int32. Empty sequences are allowed.</summary>
    public Tensor? CuSeqLensQ { get; init; }

    /// <summary>The same for keys: equal to <see cref="CuSeqLensQ"/>, as there is no cache.</summary>
    public Tensor? CuSeqLensK { get; init; }

    /// <summary>A limit to the length of sequences, tokens; checked only.</summary>
    public int? MaxLengthQ { get; init; }

    /// <summary>A limit to the length of sequences, tokens; checked only.</summary>
    public int? MaxLengthK { get; init; }

    /// <summary>
    /// The tokens to learn, [batch, tokens] int64, −100 where there is none. Each is compared with the logits of the real
    /// token before it in its sequence.
    /// </summary>
    public Tensor? Labels { get; init; }

    /// <summary>Labels that are aligned with the logits already, of the same shape; used in place of <see cref="Labels"/>.</summary>
    public Tensor? ShiftLabels { get; init; }

    /// <summary>What the summed cross entropy is divided by, for accumulated gradients; null for the number of labels here.</summary>
    public long? NumItemsInBatch { get; init; }

    /// <summary>Which columns get logits. With labels: all.</summary>
    public LogitsToKeep LogitsToKeep { get; init; } = LogitsToKeep.All;

    /// <summary>Whether to return the hidden states of every layer.</summary>
    public bool OutputHiddenStates { get; init; }

    /// <summary>Whether to return attention weights.</summary>
    public bool OutputAttentions { get; init; }
}
