using System.Collections.Immutable;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.State;

/// <summary>
/// A copy of what a session knows: tokens, caches and the scores of each row's next token. It outlives its session, never
/// changes, and any session of the same model takes it on, whatever that session's context length.
/// </summary>
/// <remarks>
/// Mamba layers take constant space a row; keys and values take space for the tokens that there are, not for those that
/// there is room for.
/// </remarks>
public sealed class BambaStateSnapshot
{
    internal BambaStateSnapshot(SnapshotModel model, ImmutableArray<RowSnapshot> rows)
    {
        Model = model;
        RowStates = rows;
    }

    /// <summary>Rows.</summary>
    public int Rows => RowStates.Length;

    /// <summary>Bytes of caches, scores and tokens.</summary>
    public long Bytes => RowStates.Sum(row => row.Bytes);

    internal SnapshotModel Model { get; }

    internal ImmutableArray<RowSnapshot> RowStates { get; }

    /// <summary>Tokens of a row.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="row"/> is not a row of the snapshot.</exception>
    public int Length(int row)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Rows);
        return RowStates[row].Tokens.Length;
    }

    /// <summary>Writes the snapshot, with a hash that <see cref="LoadAsync"/> checks.</summary>
    /// <param name="stream">Where to; left open.</param>
    /// <param name="cancellationToken">Ends the writing; what was written is then of no use.</param>
    /// <exception cref="IOException">The stream does not take it.</exception>
    public Task SaveAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return SnapshotFile.WriteAsync(this, stream, cancellationToken);
    }

    /// <summary>Reads what <see cref="SaveAsync"/> wrote. <see cref="Sessions.BambaSession.Restore(BambaStateSnapshot)"/> checks that the model fits.</summary>
    /// <param name="stream">Where from; read to the snapshot's end and left open.</param>
    /// <param name="cancellationToken">Ends the reading.</param>
    /// <exception cref="BambaException">What the stream holds is no snapshot, is damaged, or is of a newer format.</exception>
    /// <exception cref="IOException">The stream cannot be read.</exception>
    public static Task<BambaStateSnapshot> LoadAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        return SnapshotFile.ReadAsync(stream, cancellationToken);
    }
}

/// <summary>What a snapshot's model must be like for its bytes to mean the same.</summary>
/// <param name="Sha256">Hash of the checkpoint that the model came from, where the export says it.</param>
/// <param name="VocabSize">Scores a row.</param>
/// <param name="Caches">Each cache's input, as name, type and axes.</param>
internal sealed record SnapshotModel(string? Sha256, int VocabSize, ImmutableArray<string> Caches)
{
    public bool Equals(SnapshotModel? other) =>
        other is not null
        && Sha256 == other.Sha256
        && VocabSize == other.VocabSize
        && Caches.AsSpan().SequenceEqual(other.Caches.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Sha256, VocabSize, Caches.Length);
}

/// <summary>One row of a snapshot.</summary>
/// <param name="Tokens">Its tokens so far.</param>
/// <param name="Caches">Each cache without room for more, in the order of the model's.</param>
/// <param name="Logits">Scores of its next token, [vocab_size]; null where its last call left none.</param>
internal sealed record RowSnapshot(int[] Tokens, ImmutableArray<byte[]> Caches, float[]? Logits)
{
    public long Bytes =>
        ((long)sizeof(int) * Tokens.Length)
        + Caches.Sum(cache => (long)cache.Length)
        + (sizeof(float) * (long)(Logits?.Length ?? 0));
}
