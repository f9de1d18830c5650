using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Microsoft.Win32.SafeHandles;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>One writing of weights: what it knows so far, its threads and its reading back.</summary>
/// <param name="checkpoint">Where values come from.</param>
/// <param name="plan">What goes where.</param>
/// <param name="path">The first file.</param>
/// <param name="folder">The folder of the export, from which on files are named.</param>
/// <param name="limits">Threads and buffers.</param>
/// <param name="listener">Hears of progress.</param>
internal sealed class WeightRun(
    CheckpointFolder checkpoint,
    WeightPlan plan,
    string path,
    string folder,
    StreamLimits limits,
    IProgress<WeightProgress>? listener
)
{
    public CheckpointFolder Checkpoint => checkpoint;

    public WeightPlan Plan => plan;

    public string Path => path;

    /// <summary>A file's name in the manifest.</summary>
    public string NameOf(int shard) =>
        System
            .IO.Path.GetRelativePath(folder, ModelFiles.Shard(path, shard))
            .Replace(System.IO.Path.DirectorySeparatorChar, '/');

    /// <summary>The hashes of tensors that were read.</summary>
    public SourceDigests Digests { get; } = new(checkpoint);

    /// <summary>The errors of matrices that were quantized.</summary>
    public QuantizationRun Quantization { get; } = new(plan.MeanSquares);

    /// <summary>Counts the bytes of a stage.</summary>
    public ProgressCounter Progress(WeightStage stage, long bytesTotal) => new(listener, stage, bytesTotal);

    /// <summary>Runs jobs in their order, which has the largest first so that threads end together.</summary>
    public void OnThreads(
        IEnumerable<Action<EntryWriter>> jobs,
        ShardFiles files,
        ProgressCounter progress,
        CancellationToken cancellation
    )
    {
        var queue = new ConcurrentQueue<Action<EntryWriter>>(jobs);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task[] workers =
        [
            .. Enumerable
                .Range(0, limits.Threads)
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
                using var writer = new EntryWriter(
                    checkpoint,
                    files,
                    Digests,
                    Quantization,
                    progress,
                    limits.TileBytes,
                    stop.Token
                );
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

    /// <summary>The hash of a file that lies there; lower-case hexadecimal.</summary>
    public string HashOf(string file, ProgressCounter progress, CancellationToken cancellation)
    {
        using SafeFileHandle handle = File.OpenHandle(file);
        return Hash(handle, RandomAccess.GetLength(handle), progress, cancellation);
    }

    /// <summary>The hash of a file that was written, once its bytes are on the disk; lower-case hexadecimal.</summary>
    public string HashWhileFlushing(
        SafeFileHandle file,
        long fileBytes,
        ProgressCounter progress,
        CancellationToken cancellation
    )
    {
        // A write error that the system met after it took the bytes comes out here and nowhere else.
        Task flush = Task.Run(() => RandomAccess.FlushToDisk(file), CancellationToken.None);
        try
        {
            return Hash(file, fileBytes, progress, cancellation);
        }
        finally
        {
            flush.GetAwaiter().GetResult();
        }
    }

    private string Hash(SafeFileHandle file, long fileBytes, ProgressCounter progress, CancellationToken cancellation)
    {
        using var buffer = new NativeBuffer(limits.TileBytes);
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
