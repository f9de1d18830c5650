using Bamba.Onnx.Contract;

namespace Bamba.Onnx.SyntheticCheckpoint;

/// <summary>The choices of a synthetic checkpoint.</summary>
public sealed record SyntheticCheckpointOptions
{
    /// <summary>Size of a shard where the caller does not say, bytes.</summary>
    public const long DefaultMaxShardBytes = 1_000_000_000;

    /// <summary>What the tensors should come near to in all, bytes; null for the size that the configuration gives.</summary>
    public long? Bytes { get; init; }

    /// <summary>Most bytes of tensors in a file; a larger tensor has a file of its own.</summary>
    public long MaxShardBytes { get; init; } = DefaultMaxShardBytes;

    /// <summary>The element type: float32, float16 or bfloat16.</summary>
    public ElementType Dtype { get; init; } = ElementType.BFloat16;

    /// <summary>What the values follow from.</summary>
    public ulong Seed { get; init; } = 1;
}

/// <summary>What was written.</summary>
/// <param name="TensorBytes">Bytes of all tensors.</param>
/// <param name="Tensors">How many there are.</param>
/// <param name="Files">In how many files.</param>
public sealed record SyntheticCheckpointSummary(long TensorBytes, int Tensors, int Files);
