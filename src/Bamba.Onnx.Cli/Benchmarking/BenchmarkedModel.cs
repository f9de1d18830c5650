using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Contract;

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

    /// <summary>What computes <see cref="Mamba2ChunkScanOp"/>.</summary>
    public required string Scan { get; init; }

    public required int Threads { get; init; }

    public required CacheSizes Caches { get; init; }

    public static BenchmarkedModel Of(BambaRuntime runtime, string name, int threads) =>
        new()
        {
            Name = name,
            Folder = Path.GetFullPath(runtime.Folder),
            Bytes = runtime.Manifest.Files.Where(file => file.Name == ModelFiles.Weights).Sum(file => file.Bytes),
            Parameters = runtime.Manifest.Parameters,
            Dtype = runtime.Manifest.Options.Dtype.ShortName(),
            Provider = "CPU",
            Scan = ScanImplementation.NameOf(runtime.Options.CustomOps),
            Threads = threads,
            Caches = CacheSizes.Of(runtime.Signature),
        };
}
