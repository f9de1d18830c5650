using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;
using Google.Protobuf;

namespace Bamba.Onnx.Cli.Inspection;

/// <summary>What a model folder holds, as <c>bamba-onnx inspect</c> tells it.</summary>
internal sealed record ModelInspection
{
    public required string Folder { get; init; }
    public required string Producer { get; init; }
    public required int FormatVersion { get; init; }
    public required string Dtype { get; init; }
    public required bool HasWeights { get; init; }
    public required long Parameters { get; init; }
    public required ModelShape Model { get; init; }
    public required CacheSizes Caches { get; init; }
    public required IReadOnlyDictionary<string, long> WeightBytes { get; init; }
    public required int WeightFiles { get; init; }

    /// <summary>Matrices with fewer bits, in a line; null where there are none.</summary>
    public required string? Quantization { get; init; }
    public required string MinimumOnnxruntime { get; init; }

    /// <summary>What would compute <see cref="Mamba2ChunkScanOp"/>: a library's path, or the function body.</summary>
    public required string Scan { get; init; }

    public required IReadOnlyList<GraphInspection> Graphs { get; init; }

    /// <exception cref="BambaFormatException">The folder, a file of it or the library of <paramref name="ops"/> is missing or damaged.</exception>
    public static ModelInspection Of(string folder, CustomOps ops)
    {
        ModelManifest manifest = ModelManifest.Load(folder);
        BambaConfig config = BambaConfig.Load(Path.Combine(folder, ModelFiles.Config));
        ExportLayout layout = manifest.Layout;
        IReadOnlyDictionary<GraphProfile, ModelProto> graphs = ReadGraphs(folder, layout);
        return new ModelInspection
        {
            Folder = Path.GetFullPath(folder),
            Producer = manifest.Producer,
            FormatVersion = manifest.FormatVersion,
            Dtype = manifest.Options.Dtype.ShortName(),
            HasWeights = manifest.Options.Weights,
            Parameters = manifest.Parameters,
            Model = ModelShape.Of(config, manifest.Options.ContextLength),
            Caches = CacheSizes.Of(GraphSignature.For(config, GraphProfile.Runtime, manifest.GraphOptions)),
            WeightBytes = GraphInspection.WeightBytesOf(graphs.Values),
            WeightFiles = GraphInspection.WeightFilesOf(graphs.Values),
            Quantization = QuantizationSummary.Of(manifest),
            MinimumOnnxruntime = graphs.Values.Select(GraphInspection.MinimumOnnxRuntime).Max()!.ToString(),
            Scan = ScanImplementation.PathOf(ops),
            Graphs = [.. graphs.Select(graph => GraphInspection.Of(folder, layout, graph.Key, graph.Value))],
        };
    }

    public string ToJson() => JsonSerializer.Serialize(this, InspectionJson.Default.ModelInspection);

    /// <summary>The graphs of a folder.</summary>
    /// <exception cref="BambaFormatException">One is missing or damaged.</exception>
    public static IReadOnlyDictionary<GraphProfile, ModelProto> ReadGraphs(string folder, ExportLayout layout) =>
        layout.Profiles.ToDictionary(
            profile => profile,
            profile => ReadGraph(Path.Combine(folder, layout.Graph(profile)))
        );

    /// <summary>A graph.</summary>
    /// <exception cref="BambaFormatException">It is missing or damaged.</exception>
    public static ModelProto ReadGraph(string path)
    {
        try
        {
            return ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new BambaFormatException(path, $"is not an ONNX file: {e.Message}", e);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BambaFormatException(path, "no such file", e);
        }
    }
}

/// <summary>The shape of a model.</summary>
internal sealed record ModelShape
{
    public required int VocabSize { get; init; }
    public required int HiddenSize { get; init; }
    public required int IntermediateSize { get; init; }
    public required int Layers { get; init; }
    public required IReadOnlyList<int> AttentionLayers { get; init; }
    public required int AttentionHeads { get; init; }
    public required int KeyValueHeads { get; init; }
    public required int HeadDim { get; init; }
    public required int RotaryDim { get; init; }
    public required int MambaHeads { get; init; }
    public required int MambaHeadDim { get; init; }
    public required int MambaStateSize { get; init; }
    public required int MambaGroups { get; init; }
    public required int MambaConvKernel { get; init; }
    public required int ContextLength { get; init; }

    public static ModelShape Of(BambaConfig config, int contextLength) =>
        new()
        {
            VocabSize = config.VocabSize,
            HiddenSize = config.HiddenSize,
            IntermediateSize = config.IntermediateSize,
            Layers = config.Layers.Length,
            AttentionLayers =
            [
                .. Enumerable.Range(0, config.Layers.Length).Where(i => config.Layers[i] == LayerKind.Attention),
            ],
            AttentionHeads = config.NumAttentionHeads,
            KeyValueHeads = config.NumKeyValueHeads,
            HeadDim = config.HeadDim,
            RotaryDim = config.Rope.RotaryDim,
            MambaHeads = config.MambaNumHeads,
            MambaHeadDim = config.MambaHeadDim,
            MambaStateSize = config.MambaStateSize,
            MambaGroups = config.MambaNumGroups,
            MambaConvKernel = config.MambaConvKernel,
            ContextLength = contextLength,
        };
}

/// <summary>Bytes of caches.</summary>
/// <param name="StateBytesPerSequence">Convolution and recurrent states, whatever the sequence's length.</param>
/// <param name="KeyValueBytesPerToken">Keys and values of one token.</param>
internal sealed record CacheSizes(long StateBytesPerSequence, long KeyValueBytesPerToken)
{
    public static CacheSizes Of(GraphSignature signature) =>
        new(signature.Caches.Where(cache => !Grows(cache)).Sum(BytesOf), signature.Caches.Where(Grows).Sum(BytesOf));

    /// <summary>Whether a cache takes memory for each token.</summary>
    public static bool Grows(CacheSpec cache) => cache.Kind is CacheKind.Key or CacheKind.Value;

    /// <summary>Bytes of a cache: of one sequence, or where it grows of one token.</summary>
    public static long BytesOf(CacheSpec cache) =>
        cache
            .Past.Axes.Where(axis => axis.Symbol is null)
            .Aggregate((long)cache.Past.Type.SizeInBytes(), (product, axis) => product * axis.Size);
}

[JsonSourceGenerationOptions(WriteIndented = true, PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ModelInspection))]
internal sealed partial class InspectionJson : JsonSerializerContext;
