using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>
/// Weights files that an export has finished, and what they follow from: an export of the same makes them again, byte for byte,
/// and so need not.
/// </summary>
internal sealed record FinishedWeights
{
    /// <summary>What lies beside the weights while others are still being written.</summary>
    public const string FileName = "finished.json";

    /// <summary>What the weights follow from beside the checkpoint: <see cref="WeightRecipe"/>.</summary>
    public required string Recipe { get; init; }

    /// <summary>The finished files.</summary>
    public required ImmutableArray<ManifestFile> Files { get; init; }

    /// <summary>By quantized matrix, the root of its squared error over its squared values.</summary>
    public required IReadOnlyDictionary<string, double> RelativeErrors { get; init; }

    /// <summary>By tensor of the checkpoint, at least those in the files, the hash of its bytes; empty where that of the whole is known.</summary>
    public IReadOnlyDictionary<string, string> TensorSha256 { get; init; } = new Dictionary<string, string>();

    /// <summary>The hash of the whole checkpoint; null where not all of it was read.</summary>
    public string? SourceSha256 { get; init; }

    /// <summary>Where the files lie.</summary>
    [JsonIgnore]
    public string Folder { get; init; } = "";

    /// <summary>What an interrupted export left in a folder; null where it finished no file or followed from something else.</summary>
    public static FinishedWeights? OfInterrupted(string folder, string recipe)
    {
        try
        {
            using FileStream stream = File.OpenRead(Path.Combine(folder, FileName));
            FinishedWeights? found = JsonSerializer.Deserialize(stream, FinishedWeightsJson.Default.FinishedWeights);
            return found?.Recipe == recipe ? found with { Folder = folder } : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            // There is nothing to go on from; all of it is written anew.
            return null;
        }
    }

    /// <summary>What a whole export has in its folder; null where it is none or follows from something else.</summary>
    public static FinishedWeights? OfExport(string folder, string recipe)
    {
        try
        {
            ModelManifest manifest = ModelManifest.Load(folder);
            return manifest.Recipe == recipe && manifest.Source.Sha256 is { } sourceSha256
                ? new FinishedWeights
                {
                    Recipe = recipe,
                    Files = [.. manifest.Files.Where(file => manifest.Layout.IsWeights(file.Name))],
                    RelativeErrors = (manifest.Quantization ?? [])
                        .Where(matrix => matrix.RelativeError is not null)
                        .ToDictionary(matrix => matrix.Name, matrix => matrix.RelativeError!.Value),
                    SourceSha256 = sourceSha256,
                    Folder = folder,
                }
                : null;
        }
        catch (BambaFormatException)
        {
            // No export, a damaged one or one of a newer format: it is replaced as a whole.
            return null;
        }
    }

    /// <summary>Writes this into a folder, over what is there, whole or not at all.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Save(string folder)
    {
        string path = Path.Combine(folder, FileName);
        string temporary = $"{path}.tmp";
        File.WriteAllBytes(
            temporary,
            JsonSerializer.SerializeToUtf8Bytes(this, FinishedWeightsJson.Default.FinishedWeights)
        );
        File.Move(temporary, path, overwrite: true);
    }
}

[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(FinishedWeights))]
internal sealed partial class FinishedWeightsJson : JsonSerializerContext;
