using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Microsoft.Win32.SafeHandles;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>The open files of a plan.</summary>
internal sealed class ShardFiles : IDisposable
{
    private readonly ImmutableArray<SafeFileHandle> handles;

    private ShardFiles(ImmutableArray<SafeFileHandle> handles) => this.handles = handles;

    /// <summary>A file, by its index.</summary>
    public SafeFileHandle this[int shard] => handles[shard];

    /// <summary>Creates the files, all with room on the disk before anything is written.</summary>
    /// <param name="path">The first one.</param>
    /// <param name="plan">How many there are, and how large.</param>
    /// <exception cref="IOException">A file exists or cannot be created, or the disk has no room for all of them.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be created.</exception>
    public static ShardFiles Create(string path, WeightPlan plan)
    {
        ImmutableArray<SafeFileHandle>.Builder handles = ImmutableArray.CreateBuilder<SafeFileHandle>();
        try
        {
            foreach ((int shard, long bytes) in plan.ShardBytes.Index())
            {
                handles.Add(PreallocatedFile.Create(ModelFiles.Shard(path, shard), FileMode.CreateNew, bytes));
            }
            return new ShardFiles(handles.ToImmutable());
        }
        catch
        {
            DisposeAll(handles);
            throw;
        }
    }

    /// <summary>Writes into the place of an entry.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="position">Where, from the entry's own start.</param>
    /// <param name="bytes">What.</param>
    public void Write(WeightEntry entry, long position, ReadOnlySpan<byte> bytes) =>
        RandomAccess.Write(handles[entry.Shard], bytes, entry.Offset + position);

    public void Dispose() => DisposeAll(handles);

    private static void DisposeAll(IEnumerable<SafeFileHandle> handles)
    {
        foreach (SafeFileHandle handle in handles)
        {
            handle.Dispose();
        }
    }
}
