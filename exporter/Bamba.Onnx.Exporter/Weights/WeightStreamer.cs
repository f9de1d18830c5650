using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>
/// Writes the weights of a checkpoint into files of external data, as a <see cref="WeightPlan"/> says, through buffers of
/// fixed size: the memory it takes does not grow with the model.
/// </summary>
/// <remarks>
/// <see cref="WeightResult.SourceSha256"/> identifies the checkpoint, however it is split into files and whatever the plan
/// takes from it. It is the SHA-256 of lines of UTF-8, each ending in a line feed: "SHA256 config.json" with the hash of that
/// file's bytes, then, in ordinal order of canonical names, "SHA256 dtype [shape] name" with the hash of each tensor's bytes;
/// hashes are lower-case hexadecimal, dtypes short names such as bf16, and sizes separated by a comma and a space.
/// </remarks>
public static class WeightStreamer
{
    /// <summary>Writes weights files one after the other, and returns once their bytes are on the disk.</summary>
    /// <param name="checkpoint">Where values come from.</param>
    /// <param name="plan">What goes where.</param>
    /// <param name="path">
    /// The first file; <see cref="ModelFiles.Shard"/> names the others. They must not exist. After a failure or cancellation the
    /// caller deletes them; nothing holds them open.
    /// </param>
    /// <param name="progress">Told after every tile, from any thread, one call at a time.</param>
    /// <param name="cancellation">Looked at between tiles.</param>
    /// <exception cref="ArgumentException">The plan does not match the checkpoint: a tensor is missing, or its size, rank or type does not suit.</exception>
    /// <exception cref="BambaException">A value is too large for the type it is written as, or the checkpoint became unreadable.</exception>
    /// <exception cref="IOException">A file exists or cannot be written, or the disk has no room for all of them.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be created.</exception>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> was cancelled.</exception>
    public static WeightResult Write(
        CheckpointFolder checkpoint,
        WeightPlan plan,
        string path,
        IProgress<WeightProgress>? progress = null,
        CancellationToken cancellation = default
    ) => Write(checkpoint, plan, path, StreamLimits.Default, null, progress, cancellation);

    /// <param name="checkpoint">Where values come from.</param>
    /// <param name="plan">What goes where.</param>
    /// <param name="path">The first file.</param>
    /// <param name="limits">Threads and buffers.</param>
    /// <param name="record">Where to note each file that is finished, and what an earlier export noted; null for neither.</param>
    /// <param name="progress">Told after every tile.</param>
    /// <param name="cancellation">Looked at between tiles.</param>
    internal static WeightResult Write(
        CheckpointFolder checkpoint,
        WeightPlan plan,
        string path,
        StreamLimits limits,
        ShardRecord? record = null,
        IProgress<WeightProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(path);
        PlanCheck.RequireMatch(checkpoint, plan, limits);
        cancellation.ThrowIfCancellationRequested();

        var run = new WeightRun(
            checkpoint,
            plan,
            path,
            record?.Folder ?? Path.GetDirectoryName(Path.GetFullPath(path))!,
            limits,
            progress
        );
        Dictionary<int, ManifestFile> finished = record?.Earlier is { } earlier
            ? EarlierShards.Take(run, earlier, cancellation)
            : [];
        using ShardFiles files = ShardFiles.Create(path, plan, finished.Keys);
        long toWrite = plan.Entries.Where(entry => files.Has(entry)).Sum(entry => entry.Bytes);
        ProgressCounter written = run.Progress(WeightStage.Writing, toWrite);
        ProgressCounter hashed = run.Progress(WeightStage.Hashing, files.Bytes);
        ILookup<int, WeightJob> jobs = Jobs(run, files);
        for (int shard = 0; shard < plan.ShardBytes.Count; shard++)
        {
            run.OnThreads(
                jobs[shard].OrderByDescending(job => job.Bytes).Select(job => job.Run),
                files,
                written,
                cancellation
            );
            if (files[shard] is { } file)
            {
                long bytes = plan.ShardBytes[shard];
                string hash = run.HashWhileFlushing(file, bytes, hashed, cancellation);
                finished.Add(shard, new ManifestFile(run.NameOf(shard), bytes, hash));
                record?.Note(finished.Values, run);
            }
        }
        return new WeightResult(
            run.Digests.Combine(),
            [.. finished.OrderBy(file => file.Key).Select(file => file.Value)],
            run.Quantization.RelativeErrors()
        );
    }

    /// <summary>
    /// One job for each entry of the files, and one for each tensor that neither these read nor anyone has read, by the file that is
    /// not whole before: the parts of a quantized matrix, which are made together, may lie in several.
    /// </summary>
    private static ILookup<int, WeightJob> Jobs(WeightRun run, ShardFiles files)
    {
        var writes = new List<WeightJob>();
        var read = new HashSet<string>(run.Digests.Completed().Keys);
        foreach (WeightEntry entry in run.Plan.Entries)
        {
            int? first = (
                entry.Source is WeightSource.Quantized quantized ? quantized.Rows.ShardsWith(entry) : [entry.Shard]
            )
                .Where(shard => files[shard] is not null)
                .Select(shard => (int?)shard)
                .Min();
            if (first is { } shard)
            {
                writes.Add(new WeightJob(shard, entry.Bytes, writer => writer.Write(entry)));
                read.UnionWith(PlanCheck.TensorsOf(entry.Source));
            }
        }
        IEnumerable<WeightJob> hashes = run
            .Checkpoint.Tensors.Values.Where(tensor => !read.Contains(tensor.Name))
            .Select(tensor => new WeightJob(0, tensor.Bytes, writer => writer.HashOnly(tensor)));
        return writes.Concat(hashes).ToLookup(job => job.Shard);
    }
}

/// <summary>Something to write or to read.</summary>
/// <param name="Shard">The first file that it writes to.</param>
/// <param name="Bytes">How much it is.</param>
/// <param name="Run">Does it.</param>
internal readonly record struct WeightJob(int Shard, long Bytes, Action<EntryWriter> Run);

/// <summary>What bounds the memory of a <see cref="WeightStreamer"/>: each thread has two buffers of one tile.</summary>
/// <param name="Threads">Entries in work at once.</param>
/// <param name="TileBytes">Size of a buffer, a multiple of 8.</param>
internal readonly record struct StreamLimits(int Threads, int TileBytes)
{
    /// <summary>At most 64 MiB in all: more threads than these wait for the disk.</summary>
    public static StreamLimits Default { get; } = new(Math.Min(Environment.ProcessorCount, 4), 8 << 20);
}
