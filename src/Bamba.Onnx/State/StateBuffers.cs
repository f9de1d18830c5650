using Bamba.Onnx.Devices;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.State;

/// <summary>
/// The caches of a session, allocated once: each is bound as past and present at the same address and updated in place.
/// </summary>
internal sealed class StateBuffers : IDisposable
{
    private readonly MemorySpace space;
    private readonly MemoryBlock[] blocks;

    /// <summary>Allocates the caches, all zero.</summary>
    /// <param name="space">Where.</param>
    /// <param name="layout">Which, and how large.</param>
    public StateBuffers(MemorySpace space, StateLayout layout)
    {
        this.space = space;
        Layout = layout;
        blocks = new MemoryBlock[layout.Caches.Length];
        try
        {
            for (int i = 0; i < blocks.Length; i++)
            {
                blocks[i] = space.Allocate(layout.Caches[i].RowBytes * layout.BatchSize);
                // Keys and values too: what attention masks must still be a number.
                blocks[i].Clear(0, blocks[i].Bytes);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Shapes and sizes.</summary>
    public StateLayout Layout { get; }

    /// <summary>Makes every row a fresh sequence. Keys and values need no clearing: lengths say what of them is real.</summary>
    public void Clear()
    {
        for (int i = 0; i < blocks.Length; i++)
        {
            if (Layout.Caches[i].IsOverwritten)
            {
                blocks[i].Clear(0, blocks[i].Bytes);
            }
        }
    }

    /// <summary>Consecutive rows of a cache at their place in the buffer; whoever asks disposes the value, not the memory.</summary>
    public OrtValue Rows(int cache, int firstRow, int rows)
    {
        CacheLayout layout = Layout.Caches[cache];
        return blocks[cache].View(firstRow * layout.RowBytes, layout.Spec.Past.Type, layout.Shape(rows).AsSpan());
    }

    /// <summary>Copies what <paramref name="tokens"/> tokens left in a row's cache, without room for more, into <paramref name="packed"/>.</summary>
    public void Pack(int cache, int row, int tokens, Span<byte> packed) =>
        blocks[cache].Read(UsedOf(cache, row, tokens), packed);

    /// <summary>The reverse of <see cref="Pack"/>.</summary>
    public void Unpack(int cache, int row, int tokens, ReadOnlySpan<byte> packed) =>
        blocks[cache].Write(UsedOf(cache, row, tokens), packed);

    /// <summary>Copies what <paramref name="tokens"/> tokens left in a row of other caches of the same model and memory.</summary>
    public void CopyRow(StateBuffers source, int sourceRow, int row, int tokens)
    {
        for (int i = 0; i < blocks.Length; i++)
        {
            source.blocks[i].CopyTo(blocks[i], source.UsedOf(i, sourceRow, tokens), UsedOf(i, row, tokens));
        }
    }

    /// <summary>Makes each row that is not its own source a copy of another.</summary>
    /// <param name="sourceRows">For each row the row that it becomes.</param>
    /// <param name="tokens">For each row the tokens that its source has.</param>
    public void Reorder(ReadOnlySpan<int> sourceRows, ReadOnlySpan<int> tokens)
    {
        for (int i = 0; i < blocks.Length; i++)
        {
            // A row may be the source of one and the target of another: sources are read from a copy of the cache.
            using MemoryBlock copy = space.AllocatePassing(blocks[i].Bytes);
            for (int row = 0; row < sourceRows.Length; row++)
            {
                if (sourceRows[row] != row)
                {
                    Region used = UsedOf(i, sourceRows[row], tokens[row]);
                    blocks[i].CopyTo(copy, used, used);
                }
            }
            for (int row = 0; row < sourceRows.Length; row++)
            {
                if (sourceRows[row] != row)
                {
                    copy.CopyTo(blocks[i], UsedOf(i, sourceRows[row], tokens[row]), UsedOf(i, row, tokens[row]));
                }
            }
        }
    }

    /// <summary>Copies whole consecutive rows of a cache to the front of a block, or back from there.</summary>
    public void CopyRows(int cache, int firstRow, int rows, MemoryBlock other, bool back)
    {
        long rowBytes = Layout.Caches[cache].RowBytes;
        var here = new Region(firstRow * rowBytes, rows * rowBytes);
        var there = new Region(0, rows * rowBytes);
        if (back)
        {
            other.CopyTo(blocks[cache], there, here);
        }
        else
        {
            blocks[cache].CopyTo(other, here, there);
        }
    }

    /// <summary>Takes memory for a passing copy, where the caches are.</summary>
    public MemoryBlock AllocatePassing(long bytes) => space.AllocatePassing(bytes);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MemoryBlock? block in blocks)
        {
            block?.Dispose();
        }
    }

    private Region UsedOf(int cache, int row, int tokens)
    {
        CacheLayout layout = Layout.Caches[cache];
        return new Region(row * layout.RowBytes, layout.Blocks, layout.UsedBytesOfBlock(tokens), layout.BlockBytes);
    }
}
