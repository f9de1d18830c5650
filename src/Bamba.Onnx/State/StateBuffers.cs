using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Bamba.Onnx.State;

/// <summary>
/// The caches of a session in ONNX Runtime's memory, allocated once: each is bound as past and present at the same address
/// and updated in place.
/// </summary>
internal sealed class StateBuffers : IDisposable
{
    private readonly OrtValue[] buffers;

    /// <summary>Allocates the caches, all zero.</summary>
    /// <param name="layout">Which, and how large.</param>
    public StateBuffers(StateLayout layout)
    {
        Layout = layout;
        buffers = new OrtValue[layout.Caches.Length];
        try
        {
            for (int i = 0; i < buffers.Length; i++)
            {
                CacheLayout cache = layout.Caches[i];
                TensorElementType type = OrtElementTypes.Of(cache.Spec.Past.Type);
                buffers[i] = OrtValue.CreateAllocatedTensorValue(
                    OrtAllocator.DefaultInstance,
                    type,
                    [.. cache.Shape(layout.BatchSize)]
                );
            }
            for (int i = 0; i < buffers.Length; i++)
            {
                buffers[i].GetTensorMutableRawData().Clear();
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
        for (int i = 0; i < buffers.Length; i++)
        {
            if (Layout.Caches[i].IsOverwritten)
            {
                buffers[i].GetTensorMutableRawData().Clear();
            }
        }
    }

    /// <summary>The bytes of consecutive rows of a cache.</summary>
    public Span<byte> Bytes(int cache, int firstRow, int rows)
    {
        int rowBytes = checked((int)Layout.Caches[cache].RowBytes);
        return buffers[cache].GetTensorMutableRawData().Slice(firstRow * rowBytes, rows * rowBytes);
    }

    /// <summary>Rows of a cache at their place in the buffer; whoever asks disposes the value, not the memory.</summary>
    public OrtValue Rows(int cache, int firstRow, int rows)
    {
        CacheLayout layout = Layout.Caches[cache];
        return OrtElementTypes.View(Bytes(cache, firstRow, rows), layout.Spec.Past.Type, [.. layout.Shape(rows)]);
    }

    /// <summary>Copies what <paramref name="tokens"/> tokens left in a row's cache, without room for more, into <paramref name="packed"/>.</summary>
    public void Pack(int cache, int row, int tokens, Span<byte> packed)
    {
        CacheLayout layout = Layout.Caches[cache];
        Span<byte> source = Bytes(cache, row, 1);
        int used = layout.UsedBytesOfBlock(tokens);
        for (int block = 0; block < layout.Blocks; block++)
        {
            source.Slice(block * layout.BlockBytes, used).CopyTo(packed[(block * used)..]);
        }
    }

    /// <summary>The reverse of <see cref="Pack"/>.</summary>
    public void Unpack(int cache, int row, int tokens, ReadOnlySpan<byte> packed)
    {
        CacheLayout layout = Layout.Caches[cache];
        Span<byte> target = Bytes(cache, row, 1);
        int used = layout.UsedBytesOfBlock(tokens);
        for (int block = 0; block < layout.Blocks; block++)
        {
            packed.Slice(block * used, used).CopyTo(target[(block * layout.BlockBytes)..]);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (OrtValue? buffer in buffers)
        {
            buffer?.Dispose();
        }
    }
}
