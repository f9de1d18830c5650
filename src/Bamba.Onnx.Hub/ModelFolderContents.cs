using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub;

/// <summary>Which files of a repository or folder make up a model, and which of them a folder lacks.</summary>
internal static class ModelFolderContents
{
    private static readonly FrozenSet<string> Companions = FrozenSet.Create(
        StringComparer.Ordinal,
        ModelFiles.Config,
        ModelFiles.GenerationConfig,
        "special_tokens_map.json"
    );

    private static readonly FrozenSet<string> ExportFiles = FrozenSet.Create(
        StringComparer.Ordinal,
        [
            ModelFiles.GenAIConfig,
            ModelFiles.Manifest,
            .. ExportLayout.DefaultProfiles.Select(ModelFiles.Graph),
            .. WebLayouts.Select(layout => layout.Graph(GraphProfile.Web)),
        ]
    );

    // The only file of weights, or the first.
    private static readonly ImmutableArray<string> WeightFiles =
    [
        ModelFiles.Weights,
        .. WebLayouts.Select(layout => layout.Weights),
    ];

    /// <summary>Whether a file is read by an export beside the weights.</summary>
    public static bool IsCompanion(string name) =>
        Companions.Contains(name)
        || name.StartsWith("tokenizer", StringComparison.Ordinal)
        || name.StartsWith("chat_template", StringComparison.Ordinal);

    /// <summary>Whether a file belongs to a model that is exported already.</summary>
    public static bool IsOfExport(string name) =>
        ExportFiles.Contains(name) || WeightFiles.Any(first => ModelFiles.IsWeights(name, first));

    private static IEnumerable<ExportLayout> WebLayouts =>
        Enum.GetValues<WebDtype>().Select(dtype => new ExportLayout([GraphProfile.Web], dtype));

    /// <summary>Whether a file holds weights of a checkpoint, or says which files do.</summary>
    public static bool IsWeights(string name) =>
        name == ModelFiles.CheckpointIndex || name.EndsWith(".safetensors", StringComparison.Ordinal);

    /// <summary>The files that an index of weights names, in order.</summary>
    /// <exception cref="BambaFormatException">The index is damaged, or names something that is not a file of its folder.</exception>
    public static IReadOnlyList<string> ShardsOf(string indexPath)
    {
        using JsonDocument json = JsonFile.Read(indexPath);
        JsonAt map = new JsonAt(json.RootElement, indexPath, "").Get("weight_map");
        if (map.Element.ValueKind != JsonValueKind.Object)
        {
            throw map.Expected("an object of tensor names to file names");
        }
        var shards = new SortedSet<string>(StringComparer.Ordinal);
        foreach (JsonProperty entry in map.Element.EnumerateObject())
        {
            string shard = new JsonAt(entry.Value, indexPath, "weight_map").Text();
            if (shard.AsSpan().ContainsAny('/', '\\') || !shard.EndsWith(".safetensors", StringComparison.Ordinal))
            {
                throw new BambaFormatException(
                    indexPath,
                    $"weight_map: expected the name of a .safetensors file, found '{shard}'"
                );
            }
            shards.Add(shard);
        }
        return [.. shards];
    }

    /// <summary>The first file that a folder lacks for its use, null where it is whole.</summary>
    /// <exception cref="BambaFormatException">The manifest or the index of weights is damaged.</exception>
    public static string? FirstMissing(string folder, HubContent content)
    {
        string? dangling = new DirectoryInfo(folder)
            .EnumerateFiles()
            .Where(file => IsCompanion(file.Name) || IsOfExport(file.Name) || IsWeights(file.Name))
            .Where(file => LinkedFile.Behind(file) is null)
            .Select(file => file.Name)
            .Order(StringComparer.Ordinal)
            .FirstOrDefault();
        if (dangling is not null && !(content == HubContent.WithoutWeights && IsWeights(dangling)))
        {
            return dangling;
        }
        if (Has(folder, ModelFiles.Manifest))
        {
            return content == HubContent.WithoutWeights
                ? null
                : ModelManifest.Load(folder).Files.FirstOrDefault(file => !HasWhole(folder, file))?.Name;
        }
        if (!Has(folder, ModelFiles.Config))
        {
            return ModelFiles.Config;
        }
        return content == HubContent.WithoutWeights || Has(folder, ModelFiles.Checkpoint) ? null
            : Has(folder, ModelFiles.CheckpointIndex)
                ? ShardsOf(Path.Combine(folder, ModelFiles.CheckpointIndex))
                    .FirstOrDefault(shard => !Has(folder, shard))
            : ModelFiles.Checkpoint;
    }

    /// <summary>The files of a folder that an export reads, links followed, in order of names.</summary>
    public static IEnumerable<(string Name, FileInfo File)> OfCheckpoint(string folder) =>
        new DirectoryInfo(folder)
            .EnumerateFiles()
            .Where(file => IsCompanion(file.Name) || IsWeights(file.Name))
            .OrderBy(file => file.Name, StringComparer.Ordinal)
            .Select(file => (file.Name, File: LinkedFile.Behind(file)))
            .Where(entry => entry.File is not null)
            .Select(entry => (entry.Name, entry.File!));

    /// <summary>Whether a folder has a file, a link to nothing being none.</summary>
    public static bool Has(string folder, string name) => LinkedFile.At(Path.Combine(folder, name)) is not null;

    private static bool HasWhole(string folder, ManifestFile expected) =>
        LinkedFile.At(Path.Combine(folder, expected.Name))?.Length == expected.Bytes;
}
