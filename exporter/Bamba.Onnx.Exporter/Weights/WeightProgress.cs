using System.Collections.Immutable;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>The steps of writing a weights file.</summary>
public enum WeightStage
{
    /// <summary>What an earlier export finished is compared with its hashes.</summary>
    Checking,

    /// <summary>Values are read, converted and written.</summary>
    Writing,

    /// <summary>A file is read back for its hash and flushed to the disk.</summary>
    Hashing,
}

/// <summary>How far the writing of weights files is.</summary>
/// <param name="Stage">The step; with several files the steps of each come in turn.</param>
/// <param name="BytesDone">Bytes of all files that the step is done with.</param>
/// <param name="BytesTotal">Bytes that it has to do.</param>
public readonly record struct WeightProgress(WeightStage Stage, long BytesDone, long BytesTotal);

/// <summary>What was written.</summary>
/// <param name="SourceSha256">The checkpoint's hash, lower-case hexadecimal: see <see cref="WeightStreamer"/>.</param>
/// <param name="Files">The files, by names without their folder.</param>
/// <param name="RelativeErrors">By quantized matrix, the root of its squared error over its squared values.</param>
public sealed record WeightResult(
    string SourceSha256,
    ImmutableArray<ManifestFile> Files,
    IReadOnlyDictionary<string, double> RelativeErrors
);

/// <summary>Adds up what several threads have done, and reports it in order.</summary>
internal sealed class ProgressCounter(IProgress<WeightProgress>? progress, WeightStage stage, long bytesTotal)
{
    private readonly Lock gate = new();
    private long bytesDone;

    public void Add(long bytes)
    {
        lock (gate)
        {
            bytesDone += bytes;
            progress?.Report(new WeightProgress(stage, bytesDone, bytesTotal));
        }
    }
}
