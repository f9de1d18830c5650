using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Bamba.Onnx.Contract;

/// <summary>
/// <c>bamba.json</c>: what an export says of itself. A folder without one, or with one of a newer format, is not run.
/// </summary>
public sealed record ModelManifest
{
    /// <summary>The format of model folders that this version writes, and the newest that it reads.</summary>
    public const int CurrentFormatVersion = 1;

    /// <summary>The format of the folder.</summary>
    public required int FormatVersion { get; init; }

    /// <summary>The program that wrote it, with its version.</summary>
    public required string Producer { get; init; }

    /// <summary>The checkpoint that it came from.</summary>
    public required ManifestSource Source { get; init; }

    /// <summary>What its caller chose.</summary>
    public required ManifestOptions Options { get; init; }

    /// <summary>Parameters of the model, those of tied tensors once.</summary>
    public required long Parameters { get; init; }

    /// <summary>The matrices that have fewer bits than the element type; absent where none has.</summary>
    public ImmutableArray<ManifestMatrix>? Quantization { get; init; }

    /// <summary>
    /// SHA-256 of what the weights follow from beside the checkpoint: its config.json, the graphs, how matrices were quantized, and the
    /// exporter's build. An export of the same recipe and source has the same weights. Null without weights.
    /// </summary>
    public string? Recipe { get; init; }

    /// <summary>The files whose damage would go unseen, with their sizes and hashes.</summary>
    public required ImmutableArray<ManifestFile> Files { get; init; }

    /// <summary>Bytes of the weights, over all their files.</summary>
    [JsonIgnore]
    public long WeightBytes => Files.Where(file => Layout.IsWeights(file.Name)).Sum(file => file.Bytes);

    /// <summary>The choices in the form that <see cref="GraphSignature.For"/> takes.</summary>
    [JsonIgnore]
    public GraphOptions GraphOptions =>
        new()
        {
            Dtype = Options.Dtype,
            Logits = Options.Logits,
            OutputHiddenStates = Options.OutputHiddenStates,
        };

    /// <summary>Where the folder's graphs and weights lie.</summary>
    [JsonIgnore]
    public ExportLayout Layout => new(Options.Profiles ?? ExportLayout.DefaultProfiles, Options.WebDtype);

    /// <summary>Reads the manifest of a model folder.</summary>
    /// <exception cref="BambaFormatException">The folder has none, or one that is damaged or of a newer format.</exception>
    public static ModelManifest Load(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        string path = Path.Combine(folder, ModelFiles.Manifest);
        if (!Directory.Exists(folder))
        {
            throw new BambaFormatException(folder, "no such folder");
        }
        if (!File.Exists(path))
        {
            throw new BambaFormatException(folder, $"is not an exported model: it has no {ModelFiles.Manifest}");
        }
        return Parse(JsonFile.ReadAllBytes(path), path);
    }

    /// <summary>Writes the manifest into a model folder.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Save(string folder) =>
        File.WriteAllBytes(
            Path.Combine(folder, ModelFiles.Manifest),
            JsonSerializer.SerializeToUtf8Bytes(this, ManifestJson.Default.ModelManifest)
        );

    private static ModelManifest Parse(byte[] json, string path)
    {
        try
        {
            // The version is read first: a newer format may differ in everything else.
            ManifestVersion version = JsonSerializer.Deserialize(json, ManifestJson.Default.ManifestVersion)!;
            if (version.FormatVersion is < 1 or > CurrentFormatVersion)
            {
                throw new BambaFormatException(
                    path,
                    $"format_version: expected 1 to {CurrentFormatVersion}, found {version.FormatVersion}; a newer bamba-onnx wrote this folder"
                );
            }
            return JsonSerializer.Deserialize(json, ManifestJson.Default.ModelManifest)!;
        }
        catch (JsonException e)
        {
            throw new BambaFormatException(path, $"is damaged: {e.Message}", e);
        }
    }
}

/// <summary>The checkpoint behind an export.</summary>
public sealed record ManifestSource
{
    /// <summary>Hugging Face's model type, which other hosts' configurations may hide.</summary>
    public required string ModelType { get; init; }

    /// <summary>SHA-256 over the config and every tensor's name, type, shape and bytes, in order of names; null without weights.</summary>
    public string? Sha256 { get; init; }
}

/// <summary>The choices of an export.</summary>
public sealed record ManifestOptions
{
    /// <summary>Element type of weights and activations.</summary>
    public required ElementType Dtype { get; init; }

    /// <summary>The graphs of the folder; absent for <see cref="ExportLayout.DefaultProfiles"/>.</summary>
    public ImmutableArray<GraphProfile>? Profiles { get; init; }

    /// <summary>The type that names the graph of profile web; absent without one.</summary>
    public WebDtype? WebDtype { get; init; }

    /// <summary>Positions with logits, where the caller chose.</summary>
    public LogitsPositions? Logits { get; init; }

    /// <summary>Whether hidden states are outputs.</summary>
    public bool OutputHiddenStates { get; init; }

    /// <summary>Whether the folder has weights.</summary>
    public required bool Weights { get; init; }

    /// <summary>Most tokens of a sequence that the graphs have rotary positions for.</summary>
    public required int ContextLength { get; init; }
}

/// <summary>A quantized matrix of an export.</summary>
/// <param name="Name">What it is called: a checkpoint tensor, or what several are called that are stored as one.</param>
/// <param name="Format">Its bits, groups and zero points.</param>
/// <param name="RelativeError">
/// The root of its squared error over its squared values, weighed as its method weighs them; null without weights.
/// </param>
public sealed record ManifestMatrix(string Name, WeightQuantization Format, double? RelativeError);

/// <summary>A file of a model folder.</summary>
/// <param name="Name">Its name in the folder.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">Its hash, lower-case hexadecimal.</param>
public sealed record ManifestFile(string Name, long Bytes, string Sha256);

internal sealed record ManifestVersion([property: JsonRequired] int FormatVersion);

[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [
        typeof(ElementTypeJsonConverter),
        typeof(LogitsPositionsJsonConverter),
        typeof(GraphProfileJsonConverter),
        typeof(WebDtypeJsonConverter),
        typeof(ZeroPointsJsonConverter),
        typeof(QuantizationMethodJsonConverter),
    ]
)]
[JsonSerializable(typeof(ModelManifest))]
[JsonSerializable(typeof(ManifestVersion))]
internal sealed partial class ManifestJson : JsonSerializerContext;

internal sealed class ElementTypeJsonConverter : JsonConverter<ElementType>
{
    public override ElementType Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.GetString() is { } name && ElementTypes.TryParse(name, out ElementType type)
            ? type
            : throw new JsonException("expected an element type");

    public override void Write(Utf8JsonWriter writer, ElementType value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.ShortName());
}

internal sealed class LogitsPositionsJsonConverter()
    : JsonStringEnumConverter<LogitsPositions>(JsonNamingPolicy.SnakeCaseLower);

internal sealed class GraphProfileJsonConverter()
    : JsonStringEnumConverter<GraphProfile>(JsonNamingPolicy.SnakeCaseLower);

internal sealed class WebDtypeJsonConverter() : JsonStringEnumConverter<WebDtype>(JsonNamingPolicy.SnakeCaseLower);

internal sealed class ZeroPointsJsonConverter() : JsonStringEnumConverter<ZeroPoints>(JsonNamingPolicy.SnakeCaseLower);

internal sealed class QuantizationMethodJsonConverter()
    : JsonStringEnumConverter<QuantizationMethod>(JsonNamingPolicy.SnakeCaseLower);
