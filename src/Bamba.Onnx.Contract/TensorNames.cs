using System.Globalization;

namespace Bamba.Onnx.Contract;

/// <summary>The names of graph inputs and outputs. Those of caches are the ones that ONNX Runtime GenAI looks for, in profile web those of transformers.js.</summary>
public static class TensorNames
{
    private const string PastPrefix = "past_key_values";
    private const string PresentPrefix = "present";

    /// <summary>Token ids, [batch_size, sequence_length] int64.</summary>
    public const string InputIds = "input_ids";

    /// <summary>1 for real tokens, [batch_size, total_sequence_length] int64: those of the past, then those of this call.</summary>
    public const string AttentionMask = "attention_mask";

    /// <summary>Real tokens of each row in its caches, [batch_size] int32.</summary>
    public const string PastLens = "past_lens";

    /// <summary>Real tokens of each row in this call, a prefix of the row, [batch_size] int32.</summary>
    public const string SeqLens = "seq_lens";

    /// <summary>Scores before softmax, [batch_size, sequence_length or 1, vocab_size] float32.</summary>
    public const string Logits = "logits";

    /// <summary>The hidden states after <paramref name="index"/> layers: 0 the embeddings, the last after the final norm.</summary>
    public static string HiddenStates(int index) =>
        string.Create(CultureInfo.InvariantCulture, $"hidden_states.{index}");

    /// <summary>The input that brings a layer's cache.</summary>
    public static string Past(GraphProfile profile, int layer, CacheKind kind) =>
        profile == GraphProfile.Web && WebState(kind) is { } state
            ? string.Create(CultureInfo.InvariantCulture, $"past_{state}.{layer}")
            : string.Create(CultureInfo.InvariantCulture, $"{PastPrefix}.{layer}.{Suffix(kind)}");

    /// <summary>The output that takes a layer's cache on.</summary>
    public static string Present(GraphProfile profile, int layer, CacheKind kind) =>
        profile == GraphProfile.Web && WebState(kind) is { } state
            ? string.Create(CultureInfo.InvariantCulture, $"{PresentPrefix}_{state}.{layer}")
            : string.Create(CultureInfo.InvariantCulture, $"{PresentPrefix}.{layer}.{Suffix(kind)}");

    /// <summary>The input names of all layers' caches, with <c>%d</c> for the layer.</summary>
    public static string PastPattern(CacheKind kind) => $"{PastPrefix}.%d.{Suffix(kind)}";

    /// <summary>The output names of all layers' caches, with <c>%d</c> for the layer.</summary>
    public static string PresentPattern(CacheKind kind) => $"{PresentPrefix}.%d.{Suffix(kind)}";

    /// <summary>What transformers.js calls a state of a Mamba layer; null for keys and values, whose names are the same everywhere.</summary>
    private static string? WebState(CacheKind kind) =>
        kind switch
        {
            CacheKind.ConvState => "conv",
            CacheKind.RecurrentState => "ssm",
            _ => null,
        };

    private static string Suffix(CacheKind kind) =>
        kind switch
        {
            CacheKind.ConvState => "conv_state",
            CacheKind.RecurrentState => "recurrent_state",
            CacheKind.Key => "key",
            CacheKind.Value => "value",
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
        };
}

/// <summary>The names of symbolic axes. Transformers.js needs the first one spelled so.</summary>
public static class AxisNames
{
    /// <summary>Rows.</summary>
    public const string Batch = "batch_size";

    /// <summary>Tokens of this call, padding included.</summary>
    public const string Sequence = "sequence_length";

    /// <summary>Tokens of a growing key or value cache before this call.</summary>
    public const string Past = "past_sequence_length";

    /// <summary>Tokens before this call and in it.</summary>
    public const string Total = "total_sequence_length";

    /// <summary>Tokens that a key or value buffer of fixed size has room for.</summary>
    public const string Capacity = "capacity";
}
