using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Microsoft.Win32.SafeHandles;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>The files of a plan that are being written; others are finished.</summary>
internal sealed class ShardFiles : IDisposable
{
    private readonly ImmutableDictionary<int, SafeFileHandle> handles;

    private ShardFiles(ImmutableDictionary<int, SafeFileHandle> handles, long bytes)
    {
        this.handles = handles;
        Bytes = bytes;
    }

    /// <summary>No files.</summary>
    public static ShardFiles None { get; } = new(ImmutableDictionary<int, SafeFileHandle>.Empty, 0);

    /// <summary>The sizes of all files together.</summary>
    public long Bytes { get; }

    /// <summary>A file, by its index; null for a finished one.</summary>
    public SafeFileHandle? this[int shard] => handles.GetValueOrDefault(shard);

    /// <summary>Creates the files, all with room on the disk before anything is written.</summary>
    /// <param name="path">The first one.</param>
    /// <param name="plan">How many there are, and how large.</param>
    /// <param name="finished">Indices of those that there are already.</param>
    /// <exception cref="IOException">A file exists or cannot be created, or the disk has no room for all of them.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be created.</exception>
    public static ShardFiles Create(string path, WeightPlan plan, IReadOnlyCollection<int> finished)
    {
        var handles = new Dictionary<int, SafeFileHandle>();
        long total = 0;
        try
        {
            foreach ((int shard, long bytes) in plan.ShardBytes.Index().Where(shard => !finished.Contains(shard.Index)))
            {
                handles.Add(shard, PreallocatedFile.Create(ModelFiles.Shard(path, shard), FileMode.CreateNew, bytes));
                total += bytes;
            }
            return new ShardFiles(handles.ToImmutableDictionary(), total);
        }
        catch
        {
            DisposeAll(handles.Values);
            throw;
        }
    }

    /// <summary>Whether the file of an entry is being written.</summary>
    public bool Has(WeightEntry entry) => handles.ContainsKey(entry.Shard);

    /// <summary>Writes into the place of an entry.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="position">Where, from the entry's own start.</param>
    /// <param name="bytes">What.</param>
    public void Write(WeightEntry entry, long position, ReadOnlySpan<byte> bytes) =>
        RandomAccess.Write(handles[entry.Shard], bytes, entry.Offset + position);

    public void Dispose() => DisposeAll(handles.Values);

    private static void DisposeAll(IEnumerable<SafeFileHandle> handles)
    {
        foreach (SafeFileHandle handle in handles)
        {
            handle.Dispose();
        }
    }
}
