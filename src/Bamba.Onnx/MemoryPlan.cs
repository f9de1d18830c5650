using System.Globalization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.State;

namespace Bamba.Onnx;

/// <summary>What a model and one session of it take, known before anything is loaded. Sizes in bytes.</summary>
/// <param name="Weights">The weights.</param>
/// <param name="RecurrentStates">The states of Mamba layers, all rows.</param>
/// <param name="KeysAndValues">The keys and values of attention layers, all rows, for the whole context.</param>
/// <param name="Workspace">What the longest call of a prompt computes in, and its scores; an estimate from above.</param>
public sealed record MemoryPlan(long Weights, long RecurrentStates, long KeysAndValues, long Workspace)
{
    // What ONNX Runtime's CUDA provider takes for libraries, their kernels and their scratch, as seen on an H200.
    private const long LibraryBytes = 700L << 20;

    /// <summary>All of it.</summary>
    public long Total => Weights + RecurrentStates + KeysAndValues + Workspace;

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Gibibytes(Total)}: weights {Gibibytes(Weights)}, states {Gibibytes(RecurrentStates)}, keys and values {Gibibytes(KeysAndValues)}, workspace {Gibibytes(Workspace)}";

    internal static MemoryPlan For(ModelFolder folder, BambaRuntimeOptions options, int batchSize, int contextLength)
    {
        GraphSignature signature = GraphSignature.For(
            folder.Config,
            GraphProfile.Runtime,
            folder.Manifest.GraphOptions
        );
        var layout = new StateLayout(signature.Caches, batchSize, contextLength);
        long states = layout.Caches.Where(cache => cache.IsOverwritten).Sum(cache => cache.RowBytes) * batchSize;
        long tokens = Math.Min(
            (long)contextLength * batchSize,
            (long)options.PrefillChunkOf(ExecutionProvider.Cuda) * SequenceRunner.MostChunksTogether
        );
        return new MemoryPlan(
            folder.Manifest.WeightBytes,
            states,
            layout.TotalBytes - states,
            (tokens * TokenBytes(folder.Config, folder.Manifest.Options.Dtype))
                + ((long)batchSize * folder.Config.VocabSize * sizeof(float) * 2)
        );
    }

    /// <exception cref="BambaException">The device has less free than the plan takes, or the caller allows less.</exception>
    internal void RequireRoom(CudaDevice device, long? limit)
    {
        (long free, long total) = device.Memory();
        long needed = Total + LibraryBytes;
        if (limit is { } allowed && needed > allowed)
        {
            throw new BambaException(
                $"expected a limit of at least {Gibibytes(needed)} of device memory, found {Gibibytes(allowed)} (this model: {this})"
            );
        }
        if (needed > free)
        {
            throw new BambaException(
                $"expected {Gibibytes(needed)} free on {device.Name}, found {Gibibytes(free)} of {Gibibytes(total)} (this model: {this})"
            );
        }
    }

    /// <summary>Bytes of a token's activations that are alive at once in the widest part of a layer, from above.</summary>
    private static long TokenBytes(BambaConfig config, ElementType dtype)
    {
        long element = dtype.SizeInBytes();
        long mixer =
            (config.MambaProjectionSize + (2 * config.MambaInnerSize)) * element
            + (config.MambaInnerSize * sizeof(float));
        long feedForward = 4L * config.IntermediateSize * element;
        return (4L * config.HiddenSize * element) + Math.Max(mixer, feedForward);
    }

    private static string Gibibytes(long bytes) =>
        string.Create(CultureInfo.InvariantCulture, $"{(double)bytes / (1L << 30):0.00} GiB");
}
