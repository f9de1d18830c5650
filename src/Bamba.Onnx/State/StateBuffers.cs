using Bamba.Onnx.Contract;
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
    private readonly long[][] shapes;

    /// <summary>Allocates the caches, all zero.</summary>
    /// <param name="caches">Which.</param>
    /// <param name="batchSize">Rows.</param>
    /// <param name="capacity">Tokens that keys and values have room for.</param>
    public StateBuffers(IReadOnlyList<CacheSpec> caches, int batchSize, int capacity)
    {
        Caches = caches;
        shapes = [.. caches.Select(cache => ShapeOf(cache.Past, batchSize, capacity))];
        buffers = new OrtValue[caches.Count];
        try
        {
            for (int i = 0; i < buffers.Length; i++)
            {
                TensorElementType type = OrtElementTypes.Of(caches[i].Past.Type);
                buffers[i] = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, shapes[i]);
                Bytes += buffers[i].GetTensorMutableRawData().Length;
            }
            Clear();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The caches, in the order of the graph's signature.</summary>
    public IReadOnlyList<CacheSpec> Caches { get; }

    /// <summary>Bytes of all caches.</summary>
    public long Bytes { get; }

    /// <summary>Makes every row a fresh sequence. Keys and values need no clearing: lengths say what of them is real.</summary>
    public void Clear()
    {
        for (int i = 0; i < buffers.Length; i++)
        {
            buffers[i].GetTensorMutableRawData().Clear();
        }
    }

    /// <summary>Rows of a cache at their place in the buffer; whoever asks disposes the value, not the memory.</summary>
    public OrtValue Rows(int cache, int firstRow, int rows)
    {
        long[] shape = (long[])shapes[cache].Clone();
        Span<byte> whole = buffers[cache].GetTensorMutableRawData();
        long rowBytes = whole.Length / shape[0];
        shape[0] = rows;
        return OrtElementTypes.View(
            whole.Slice(checked((int)(firstRow * rowBytes)), checked((int)(rows * rowBytes))),
            Caches[cache].Past.Type,
            shape
        );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (OrtValue? buffer in buffers)
        {
            buffer?.Dispose();
        }
    }

    private static long[] ShapeOf(TensorSpec spec, int batchSize, int capacity) =>
        [
            .. spec.Axes.Select(axis =>
                axis.Symbol switch
                {
                    null => axis.Size,
                    AxisNames.Batch => batchSize,
                    AxisNames.Capacity => (long)capacity,
                    _ => throw new InvalidOperationException($"{spec}: the runtime gives no size to this axis"),
                }
            ),
        ];
}
