using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub;

/// <summary>An export in the cache, as the record beside its files tells.</summary>
public sealed record KeptExport
{
    internal const string RecordName = "kept.json";

    private const int CurrentFormatVersion = 2;

    /// <summary>The folder; it can be loaded as any exported folder can.</summary>
    [JsonIgnore]
    public string Folder { get; init; } = "";

    /// <summary>The format of the record.</summary>
    public int FormatVersion { get; init; } = CurrentFormatVersion;

    /// <summary>The checkpoint that it came from.</summary>
    public required ExportSource Source { get; init; }

    /// <summary>Element type of weights and activations.</summary>
    public required ElementType Dtype { get; init; }

    /// <summary>The <see cref="ExportForm.Quantization"/> of its form; null in records of format 1, which know none.</summary>
    public string? Quantization { get; init; }

    /// <summary>In what form the checkpoint is exported.</summary>
    [JsonIgnore]
    public ExportForm Form => new(Dtype, Quantization);

    /// <summary>The exporter's build: another one may write other graphs.</summary>
    public required string Exporter { get; init; }

    /// <summary>When it was made, UTC.</summary>
    public required DateTime Made { get; init; }

    /// <summary>The sizes of its files, in bytes.</summary>
    [JsonIgnore]
    public long Bytes => new DirectoryInfo(Folder).EnumerateFiles().Sum(file => file.Length);

    /// <summary>The export of a folder; null where the folder is none of a cache, or not whole.</summary>
    internal static KeptExport? Read(string folder)
    {
        string path = Path.Combine(folder, RecordName);
        try
        {
            // What cannot be read is made again, which is what a cache is for.
            return
                File.Exists(path)
                && JsonSerializer.Deserialize(File.ReadAllBytes(path), KeptExportJson.Default.KeptExport)
                    is { FormatVersion: >= 1 and <= CurrentFormatVersion } kept
                && File.Exists(Path.Combine(folder, ModelFiles.Manifest))
                && ModelFolderContents.FirstMissing(folder, HubContent.Model) is null
                ? kept with
                {
                    Folder = folder,
                }
                : null;
        }
        catch (Exception e)
            when (e is JsonException or IOException or UnauthorizedAccessException or BambaFormatException)
        {
            return null;
        }
    }

    internal void Write(string folder) =>
        File.WriteAllBytes(
            Path.Combine(folder, RecordName),
            JsonSerializer.SerializeToUtf8Bytes(this, KeptExportJson.Default.KeptExport)
        );
}

[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(ElementTypeJsonConverter)]
)]
[JsonSerializable(typeof(KeptExport))]
internal sealed partial class KeptExportJson : JsonSerializerContext;
