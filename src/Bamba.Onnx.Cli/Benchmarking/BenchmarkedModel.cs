using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli.Benchmarking;

/// <summary>What was measured: the model, and how it runs.</summary>
internal sealed record BenchmarkedModel
{
    public required string Name { get; init; }

    /// <summary>The model's folder.</summary>
    public required string Folder { get; init; }

    /// <summary>Bytes of weights.</summary>
    public required long Bytes { get; init; }

    public required long Parameters { get; init; }

    public required string Dtype { get; init; }

    /// <summary>ONNX Runtime's execution provider.</summary>
    public required string Provider { get; init; }

    /// <summary>The device's name; null on the processor.</summary>
    public required string? Device { get; init; }

    /// <summary>What computes <see cref="Mamba2ChunkScanOp"/>.</summary>
    public required string Scan { get; init; }

    public required int Threads { get; init; }

    /// <summary>Milliseconds that loading took.</summary>
    public required double LoadMilliseconds { get; init; }

    public required CacheSizes Caches { get; init; }

    /// <summary>The weights that a step reads.</summary>
    public required StepWeights StepWeights { get; init; }

    /// <summary>Bytes a second that copies within the device's memory reach; null on the processor.</summary>
    public required double? CopySpeed { get; init; }

    /// <summary>Bytes that a step of a decode test must move: weights once, each row's states in and out, and its keys and values.</summary>
    public long StepBytes(BenchmarkTest test) =>
        StepWeights.Bytes
        + (
            test.Batch
            * (
                StepWeights.BytesPerRow
                + (2 * Caches.StateBytesPerSequence)
                + (Caches.KeyValueBytesPerToken * (test.Depth + (test.Tokens / 2)))
            )
        );

    public static BenchmarkedModel Of(BambaRuntime runtime, string name, int threads, TimeSpan load)
    {
        string graph = Path.Combine(runtime.Folder, runtime.Manifest.Layout.Graph(GraphProfile.Runtime));
        return new BenchmarkedModel
        {
            Name = name,
            Folder = Path.GetFullPath(runtime.Folder),
            Bytes = runtime.Manifest.WeightBytes,
            StepWeights = StepWeights.Of(ModelInspection.ReadGraph(graph)),
            CopySpeed = runtime.MeasureDeviceCopySpeed(),
            Parameters = runtime.Manifest.Parameters,
            Dtype = runtime.Manifest.Options.Dtype.ShortName(),
            Provider = runtime.Provider == ExecutionProvider.Cuda ? "CUDA" : "CPU",
            Device = runtime.DeviceName,
            Scan = ScanImplementation.NameOf(runtime.Options.CustomOps, runtime.Provider),
            Threads = threads,
            LoadMilliseconds = load.TotalMilliseconds,
            Caches = CacheSizes.Of(runtime.Signature),
        };
    }
}
