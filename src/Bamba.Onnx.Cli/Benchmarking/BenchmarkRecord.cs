using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Bamba.Onnx.Cli.Benchmarking;

/// <summary>A result with all that it depends on; keys that mean what llama-bench's mean are named like them.</summary>
internal sealed record BenchmarkRecord
{
    // Versions hold a plus and processors a trademark sign, which no web page needs to be saved from.
    private static readonly BenchmarkJson Json = new(
        new JsonSerializerOptions(BenchmarkJson.Default.Options)
        {
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }
    );

    public required string BambaOnnxVersion { get; init; }
    public required string OnnxruntimeVersion { get; init; }
    public required string DotnetVersion { get; init; }
    public required string Os { get; init; }
    public required string CpuInfo { get; init; }
    public required int CpuCores { get; init; }
    public required string Model { get; init; }
    public required string ModelFolder { get; init; }
    public required long ModelSize { get; init; }
    public required long ModelNParams { get; init; }
    public required string Dtype { get; init; }
    public required string Provider { get; init; }
    public required string? Device { get; init; }
    public required string Scan { get; init; }
    public required string? StepMode { get; init; }
    public required double? DeviceCopyBytesPerSecond { get; init; }
    public required double? BandwidthShare { get; init; }
    public required long StateBytesPerSequence { get; init; }
    public required long KvBytesPerToken { get; init; }
    public required long SessionStateBytes { get; init; }
    public required int NThreads { get; init; }
    public required double LoadMs { get; init; }
    public required int Batch { get; init; }
    public required int NPrompt { get; init; }
    public required int NGen { get; init; }
    public required int NDepth { get; init; }
    public required string Test { get; init; }
    public required DateTime TestTime { get; init; }
    public required double AvgNs { get; init; }
    public required double StddevNs { get; init; }
    public required double AvgTs { get; init; }
    public required double StddevTs { get; init; }
    public required ImmutableArray<long> SamplesNs { get; init; }
    public required ImmutableArray<double> SamplesTs { get; init; }

    public static BenchmarkRecord Of(
        BenchmarkResult result,
        BenchmarkedModel model,
        Machine machine,
        ProductVersions versions,
        DateTime time
    ) =>
        new()
        {
            BambaOnnxVersion = versions.BambaOnnx,
            OnnxruntimeVersion = versions.OnnxRuntime,
            DotnetVersion = versions.DotNet,
            Os = machine.OperatingSystem,
            CpuInfo = machine.Cpu,
            CpuCores = machine.Cores,
            Model = model.Name,
            ModelFolder = model.Folder,
            ModelSize = model.Bytes,
            ModelNParams = model.Parameters,
            Dtype = model.Dtype,
            Provider = model.Provider,
            Device = model.Device,
            Scan = model.Scan,
            StepMode = result.StepMode,
            DeviceCopyBytesPerSecond = model.CopySpeed,
            BandwidthShare = result.BandwidthShare(model),
            StateBytesPerSequence = model.Caches.StateBytesPerSequence,
            KvBytesPerToken = model.Caches.KeyValueBytesPerToken,
            SessionStateBytes = result.SessionStateBytes,
            NThreads = model.Threads,
            LoadMs = model.LoadMilliseconds,
            Batch = result.Test.Batch,
            NPrompt = result.Test.Kind == BenchmarkKind.Prefill ? result.Test.Tokens : 0,
            NGen = result.Test.Kind == BenchmarkKind.Decode ? result.Test.Tokens : 0,
            NDepth = result.Test.Depth,
            Test = result.Test.Name,
            TestTime = time,
            AvgNs = result.MeanNanoseconds,
            StddevNs = result.NanosecondsDeviation,
            AvgTs = result.MeanTokensPerSecond,
            StddevTs = result.TokensPerSecondDeviation,
            SamplesNs = result.Nanoseconds,
            SamplesTs = result.TokensPerSecond,
        };

    public static string ToJson(IReadOnlyList<BenchmarkRecord> records) =>
        JsonSerializer.Serialize(records, Json.IReadOnlyListBenchmarkRecord);
}

[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(IReadOnlyList<BenchmarkRecord>))]
internal sealed partial class BenchmarkJson : JsonSerializerContext;
