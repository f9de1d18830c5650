namespace Bamba.Onnx.Contract;

/// <summary>
/// The identity of <c>bamba::Mamba2ChunkScan</c>, version 1: everything of a Mamba-2 layer between in_proj and out_proj.
/// <c>custom-ops/README.md</c> specifies it; the exporter writes these names and the native op reads them.
/// </summary>
public static class Mamba2ChunkScanOp
{
    /// <summary>The operator domain of this project.</summary>
    public const string Domain = "bamba";

    /// <summary>The version of the domain.</summary>
    public const int Version = 1;

    /// <summary>The operator's name.</summary>
    public const string Name = "Mamba2ChunkScan";

    /// <summary>The inputs in order. The last two exist in the packed form only.</summary>
    public static IReadOnlyList<string> Inputs { get; } =
    [
        "zxbcdt",
        "conv_weight",
        "conv_bias",
        "A_log",
        "D",
        "dt_bias",
        "norm_weight",
        "past_conv_state",
        "past_recurrent_state",
        "seq_lens",
        "cu_seqlens",
        "state_indices",
    ];

    /// <summary>How many of <see cref="Inputs"/> the padded form has: all but the packed form's.</summary>
    public const int PaddedInputCount = 10;

    /// <summary>The outputs in order.</summary>
    public static IReadOnlyList<string> Outputs { get; } = ["y", "present_conv_state", "present_recurrent_state"];

    /// <summary>H, int.</summary>
    public const string NumHeads = "num_heads";

    /// <summary>P, int.</summary>
    public const string HeadDim = "head_dim";

    /// <summary>N, int.</summary>
    public const string StateSize = "state_size";

    /// <summary>G, int.</summary>
    public const string NumGroups = "n_groups";

    /// <summary>Q, int: tokens of a chunk; it changes speed, not results.</summary>
    public const string ChunkSize = "chunk_size";

    /// <summary>Epsilon of the gated norm, float.</summary>
    public const string Epsilon = "epsilon";

    /// <summary>Lower clamp of dt, float, 0 by default.</summary>
    public const string DtMin = "dt_min";

    /// <summary>Upper clamp of dt, float, infinity by default.</summary>
    public const string DtMax = "dt_max";

    /// <summary>Activation after the convolution, string, "silu" by default.</summary>
    public const string Activation = "activation";

    /// <summary>Channels that the gated norm averages over, int; E for Hugging Face's meaning.</summary>
    public const string NormGroupSize = "norm_group_size";
}
