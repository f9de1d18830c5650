using Bamba.Onnx.Devices;

namespace Bamba.Onnx.State;

/// <summary>
/// What a run overwrites, kept while the run may be stopped half-way. Keys and values of earlier tokens stay as they are, so
/// that only the constant states of Mamba layers need a copy, which lies where they do.
/// </summary>
internal sealed class StateBackup(StateBuffers states) : IDisposable
{
    private readonly MemoryBlock?[] copies = new MemoryBlock?[states.Layout.Caches.Length];

    /// <summary>Keeps consecutive rows.</summary>
    public void Save(int firstRow, int rows)
    {
        for (int i = 0; i < copies.Length; i++)
        {
            CacheLayout cache = states.Layout.Caches[i];
            if (!cache.IsOverwritten)
            {
                continue;
            }
            if (copies[i] is not { } kept || kept.Bytes < cache.RowBytes * rows)
            {
                copies[i]?.Dispose();
                copies[i] = null;
                copies[i] = states.AllocatePassing(cache.RowBytes * rows);
            }
            states.CopyRows(i, firstRow, rows, copies[i]!, back: false);
        }
    }

    /// <summary>Brings the same rows back.</summary>
    public void Restore(int firstRow, int rows)
    {
        for (int i = 0; i < copies.Length; i++)
        {
            if (copies[i] is { } copy)
            {
                states.CopyRows(i, firstRow, rows, copy, back: true);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MemoryBlock? copy in copies)
        {
            copy?.Dispose();
        }
    }
}
