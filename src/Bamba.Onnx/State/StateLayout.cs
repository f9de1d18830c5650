using System.Collections.Immutable;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.State;

/// <summary>The sizes of a session's caches, known before anything is allocated.</summary>
internal sealed class StateLayout
{
    /// <param name="caches">The caches, in the order of the graph's signature.</param>
    /// <param name="batchSize">Rows.</param>
    /// <param name="contextLength">Most tokens of a row.</param>
    public StateLayout(IReadOnlyList<CacheSpec> caches, int batchSize, int contextLength)
    {
        BatchSize = batchSize;
        // A row that takes no token while others decode still writes a key and a value, behind its last: a full row
        // needs a place for them that is its own.
        int capacity = batchSize > 1 ? checked(contextLength + 1) : contextLength;
        Caches = [.. caches.Select(cache => new CacheLayout(cache, capacity))];
        TotalBytes = Caches.Sum(cache => cache.RowBytes) * batchSize;
    }

    /// <summary>Rows.</summary>
    public int BatchSize { get; }

    /// <summary>Each cache.</summary>
    public ImmutableArray<CacheLayout> Caches { get; }

    /// <summary>Bytes of all caches of all rows.</summary>
    public long TotalBytes { get; }
}

/// <summary>The sizes of one cache of one row: blocks that tokens fill from the front, or one block of constant size.</summary>
internal sealed class CacheLayout
{
    private readonly ImmutableArray<long> rowShape;
    private readonly int tokenBytes;

    public CacheLayout(CacheSpec spec, int capacity)
    {
        Spec = spec;
        rowShape =
        [
            .. spec.Past.Axes.Skip(1).Select(axis => axis.Symbol == AxisNames.Capacity ? capacity : SizeOf(axis)),
        ];
        RowBytes = rowShape.Aggregate((long)spec.Past.Type.SizeInBytes(), (product, size) => checked(product * size));
        if (RowBytes > int.MaxValue)
        {
            throw new ArgumentException(
                $"expected at most {int.MaxValue} bytes a row in {spec.Past}, found {RowBytes}: choose a shorter context"
            );
        }
        if (spec.Kind is CacheKind.Key or CacheKind.Value)
        {
            Blocks = (int)rowShape[0];
            tokenBytes = (int)rowShape[2] * spec.Past.Type.SizeInBytes();
        }
        BlockBytes = (int)(RowBytes / Blocks);
    }

    /// <summary>The cache.</summary>
    public CacheSpec Spec { get; }

    /// <summary>Bytes of a row.</summary>
    public long RowBytes { get; }

    /// <summary>Blocks of a row: the heads of keys and values, else one.</summary>
    public int Blocks { get; } = 1;

    /// <summary>Bytes of a block.</summary>
    public int BlockBytes { get; }

    /// <summary>Whether a run changes what earlier tokens left, so that only a copy brings it back.</summary>
    public bool IsOverwritten => tokenBytes == 0;

    /// <summary>The shape of <paramref name="rows"/> rows.</summary>
    public ImmutableArray<long> Shape(int rows) => rowShape.Insert(0, rows);

    /// <summary>Bytes at the front of a block that <paramref name="tokens"/> tokens fill.</summary>
    public int UsedBytesOfBlock(int tokens) => tokenBytes == 0 ? BlockBytes : tokens * tokenBytes;

    /// <summary>Bytes of a row that <paramref name="tokens"/> tokens fill.</summary>
    public int PackedBytes(int tokens) => Blocks * UsedBytesOfBlock(tokens);

    private static long SizeOf(Axis axis) =>
        axis.Symbol is null
            ? axis.Size
            : throw new InvalidOperationException($"the runtime gives no size to the axis {axis}");
}
