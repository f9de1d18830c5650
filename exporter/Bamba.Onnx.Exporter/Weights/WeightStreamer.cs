using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Microsoft.Win32.SafeHandles;

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
    ) => Write(checkpoint, plan, path, StreamLimits.Default, progress, cancellation);

    internal static WeightResult Write(
        CheckpointFolder checkpoint,
        WeightPlan plan,
        string path,
        StreamLimits limits,
        IProgress<WeightProgress>? progress = null,
        CancellationToken cancellation = default
    )
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(path);
        PlanCheck.RequireMatch(checkpoint, plan, limits);
        cancellation.ThrowIfCancellationRequested();

        using ShardFiles files = ShardFiles.Create(path, plan);
        var digests = new SourceDigests(checkpoint);
        var quantization = new QuantizationRun(plan.MeanSquares);
        var written = new ProgressCounter(progress, WeightStage.Writing, plan.Entries.Sum(entry => entry.Bytes));
        var hashed = new ProgressCounter(progress, WeightStage.Hashing, plan.FileBytes);
        ILookup<int, WeightJob> jobs = Jobs(checkpoint, plan);
        ImmutableArray<ManifestFile>.Builder results = ImmutableArray.CreateBuilder<ManifestFile>();
        for (int shard = 0; shard < plan.ShardBytes.Count; shard++)
        {
            RunOnThreads(
                limits.Threads,
                jobs[shard].OrderByDescending(job => job.Bytes).Select(job => job.Run),
                token => new EntryWriter(checkpoint, files, digests, quantization, written, limits.TileBytes, token),
                cancellation
            );
            long bytes = plan.ShardBytes[shard];
            string hash = HashWhileFlushing(files[shard], bytes, limits.TileBytes, hashed, cancellation);
            results.Add(new ManifestFile(Path.GetFileName(ModelFiles.Shard(path, shard)), bytes, hash));
        }
        return new WeightResult(digests.Combine(), results.ToImmutable(), quantization.RelativeErrors());
    }

    /// <summary>
    /// One job for each entry and for each tensor that no entry reads, by the file that is not whole before: the parts of a
    /// quantized matrix, which are made together, may lie in several.
    /// </summary>
    private static ILookup<int, WeightJob> Jobs(CheckpointFolder checkpoint, WeightPlan plan)
    {
        HashSet<string> read = [.. plan.Entries.SelectMany(entry => PlanCheck.TensorsOf(entry.Source))];
        IEnumerable<WeightJob> writes = plan.Entries.Select(entry => new WeightJob(
            entry.Source is WeightSource.Quantized quantized ? quantized.Rows.Scales.Shard : entry.Shard,
            entry.Bytes,
            writer => writer.Write(entry)
        ));
        IEnumerable<WeightJob> hashes = checkpoint
            .Tensors.Values.Where(tensor => !read.Contains(tensor.Name))
            .Select(tensor => new WeightJob(0, tensor.Bytes, writer => writer.HashOnly(tensor)));
        return writes.Concat(hashes).ToLookup(job => job.Shard);
    }

    /// <summary>Runs jobs in their order, which has the largest first so that threads end together.</summary>
    private static void RunOnThreads(
        int threads,
        IEnumerable<Action<EntryWriter>> jobs,
        Func<CancellationToken, EntryWriter> newWriter,
        CancellationToken cancellation
    )
    {
        var queue = new ConcurrentQueue<Action<EntryWriter>>(jobs);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task[] workers =
        [
            .. Enumerable
                .Range(0, threads)
                .Select(_ =>
                    Task.Factory.StartNew(
                        Work,
                        CancellationToken.None,
                        TaskCreationOptions.LongRunning,
                        TaskScheduler.Default
                    )
                ),
        ];
        try
        {
            Task.WaitAll(workers, CancellationToken.None);
        }
        catch (AggregateException e)
        {
            // Threads that stopped because another one failed say so too; the failure is what counts.
            if (e.InnerExceptions.FirstOrDefault(inner => inner is not OperationCanceledException) is { } failure)
            {
                ExceptionDispatchInfo.Throw(failure);
            }
            cancellation.ThrowIfCancellationRequested();
            throw;
        }

        void Work()
        {
            try
            {
                using EntryWriter writer = newWriter(stop.Token);
                while (queue.TryDequeue(out Action<EntryWriter>? job))
                {
                    job(writer);
                }
            }
            catch
            {
                stop.Cancel();
                throw;
            }
        }
    }

    private static string HashWhileFlushing(
        SafeFileHandle file,
        long fileBytes,
        int bufferBytes,
        ProgressCounter progress,
        CancellationToken cancellation
    )
    {
        // A write error that the system met after it took the bytes comes out here and nowhere else.
        Task flush = Task.Run(() => RandomAccess.FlushToDisk(file), CancellationToken.None);
        try
        {
            return Hash(file, fileBytes, bufferBytes, progress, cancellation);
        }
        finally
        {
            flush.GetAwaiter().GetResult();
        }
    }

    private static string Hash(
        SafeFileHandle file,
        long fileBytes,
        int bufferBytes,
        ProgressCounter progress,
        CancellationToken cancellation
    )
    {
        using var buffer = new NativeBuffer(bufferBytes);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (long position = 0; position < fileBytes; )
        {
            cancellation.ThrowIfCancellationRequested();
            int read = RandomAccess.Read(file, buffer.Span, position);
            if (read == 0)
            {
                throw new IOException($"the file shrank to {position} of {fileBytes} bytes while it was read back");
            }
            hash.AppendData(buffer.Span[..read]);
            position += read;
            progress.Add(read);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
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
