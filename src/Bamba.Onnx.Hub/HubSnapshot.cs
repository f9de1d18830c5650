using System.Collections.Immutable;
using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub;

/// <summary>A model at a commit in Hugging Face's cache.</summary>
/// <param name="Id">The model, at the revision that was asked for or, in a list, at the commit.</param>
/// <param name="Commit">The commit.</param>
/// <param name="Folder">The folder of its files, which are links to blobs or copies of them.</param>
public sealed record HubSnapshot(HubModelId Id, string Commit, string Folder)
{
    /// <summary>The branches and tags that mean this commit.</summary>
    public ImmutableArray<string> Branches { get; init; } = [];

    /// <summary>The sizes of all its files that are here, in bytes.</summary>
    public long Bytes =>
        new DirectoryInfo(Folder)
            .EnumerateFiles("*", SearchOption.AllDirectories)
            .Sum(file => LinkedFile.Behind(file)?.Length ?? 0);

    /// <summary>Hugging Face's name of the architecture, null where no config.json says it.</summary>
    public string? ModelType
    {
        get
        {
            if (LinkedFile.At(Path.Combine(Folder, ModelFiles.Config)) is not { } config)
            {
                return null;
            }
            try
            {
                using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(config.FullName));
                return
                    json.RootElement.ValueKind == JsonValueKind.Object
                    && json.RootElement.TryGetProperty("model_type", out JsonElement type)
                    && type.ValueKind == JsonValueKind.String
                    ? type.GetString()
                    : null;
            }
            catch (JsonException)
            {
                return null;
            }
        }
    }

    /// <summary>Whether it is a Bamba checkpoint or an exported one, as far as its files say.</summary>
    public bool IsBamba => ModelType == "bamba" || File.Exists(Path.Combine(Folder, ModelFiles.Manifest));

    /// <summary>Why a model cannot be used as it is here, null where nothing is missing.</summary>
    /// <param name="content">What it is wanted for.</param>
    public string? Problem(HubContent content = HubContent.Model)
    {
        try
        {
            return ModelFolderContents.FirstMissing(Folder, content) is { } missing ? $"{missing} is missing" : null;
        }
        catch (BambaFormatException e)
        {
            return e.Message;
        }
    }
}
