namespace Bamba.Onnx.State;

/// <summary>
/// What a run overwrites, kept while the run may be stopped half-way. Keys and values of earlier tokens stay as they are, so
/// that only the constant states of Mamba layers need a copy.
/// </summary>
internal sealed class StateBackup(StateBuffers states)
{
    private readonly byte[]?[] copies = new byte[]?[states.Layout.Caches.Length];

    /// <summary>Keeps consecutive rows.</summary>
    public void Save(int firstRow, int rows)
    {
        for (int i = 0; i < copies.Length; i++)
        {
            if (states.Layout.Caches[i].IsOverwritten)
            {
                Span<byte> source = states.Bytes(i, firstRow, rows);
                byte[] copy = copies[i] is { } kept && kept.Length >= source.Length ? kept : new byte[source.Length];
                source.CopyTo(copy);
                copies[i] = copy;
            }
        }
    }

    /// <summary>Brings the same rows back.</summary>
    public void Restore(int firstRow, int rows)
    {
        for (int i = 0; i < copies.Length; i++)
        {
            if (copies[i] is { } copy)
            {
                Span<byte> target = states.Bytes(i, firstRow, rows);
                copy.AsSpan(0, target.Length).CopyTo(target);
            }
        }
    }
}
