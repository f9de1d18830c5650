using System.Diagnostics.CodeAnalysis;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub;

/// <summary>
/// Finds the model that a name means: a folder that exists, else an id of the hub in Hugging Face's cache. Nothing here asks the
/// network.
/// </summary>
public sealed class ModelLocator
{
    private readonly HubCache hub;
    private readonly ExportCache exports;

    /// <summary>A locator for two caches.</summary>
    /// <param name="hub">Hugging Face's cache.</param>
    /// <param name="exports">The cache of exports.</param>
    public ModelLocator(HubCache hub, ExportCache exports)
    {
        ArgumentNullException.ThrowIfNull(hub);
        ArgumentNullException.ThrowIfNull(exports);
        this.hub = hub;
        this.exports = exports;
    }

    /// <summary>Whether a name means a model of the hub, because no folder has it.</summary>
    /// <param name="model">A folder, or <c>owner/name[@revision]</c>.</param>
    /// <param name="revision">The revision of an id that names none.</param>
    /// <param name="id">The id.</param>
    /// <exception cref="BambaFormatException">There is no such folder, and the name is no id.</exception>
    /// <exception cref="ArgumentException">A revision is given for a folder, or twice.</exception>
    public static bool IsOfHub(string model, string? revision, [NotNullWhen(true)] out HubModelId? id)
    {
        ArgumentException.ThrowIfNullOrEmpty(model);
        if (Directory.Exists(model))
        {
            id = null;
            return revision is null
                ? false
                : throw new ArgumentException($"{model}: is a folder, which has no revision such as '{revision}'");
        }
        if (HubModelId.TryParse(model, revision, out id, out string? problem))
        {
            return true;
        }
        if (HubModelId.TryParse(model, null, out _, out _))
        {
            throw new ArgumentException($"{model}: {problem}", nameof(revision));
        }
        // What has the form of an id gets the reason why it is none; a path does not.
        bool path = Path.IsPathRooted(model) || model.StartsWith('.') || model.Count(c => c == '/') != 1;
        throw path
            ? new BambaFormatException(model, "no such folder")
            : new BambaFormatException(model, $"no such folder, and no Hugging Face id: {problem}");
    }

    /// <summary>The model that a name means, exported or not.</summary>
    /// <param name="model">A folder, or <c>owner/name[@revision]</c>.</param>
    /// <param name="revision">The revision of an id that names none.</param>
    /// <param name="content">What it is wanted for, and so which files it must have.</param>
    /// <exception cref="BambaFormatException">There is none, or it is not whole.</exception>
    /// <exception cref="ArgumentException">A revision is given for a folder, or twice.</exception>
    public LocatedModel Locate(string model, string? revision = null, HubContent content = HubContent.Model)
    {
        if (IsOfHub(model, revision, out HubModelId? id))
        {
            return Locate(hub.Resolve(id, content));
        }
        bool exported = File.Exists(Path.Combine(model, ModelFiles.Manifest));
        return exported || content == HubContent.WithoutWeights || File.Exists(Path.Combine(model, ModelFiles.Config))
            ? new LocatedModel(model, exported, null)
            : throw new BambaFormatException(
                model,
                $"expected an exported model ({ModelFiles.Manifest}) or a checkpoint ({ModelFiles.Config}), found neither"
            );
    }

    /// <summary>The model in a snapshot.</summary>
    public static LocatedModel Locate(HubSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        bool exported = File.Exists(Path.Combine(snapshot.Folder, ModelFiles.Manifest));
        return new LocatedModel(snapshot.Folder, exported, snapshot);
    }

    /// <summary>The exported folder that a name means: itself, or a kept export of the checkpoint, whose weights may be gone.</summary>
    /// <param name="model">An exported folder, a checkpoint folder, or <c>owner/name[@revision]</c>.</param>
    /// <param name="dtype">The element type of a kept export; null for float32 where there is one, else any.</param>
    /// <exception cref="BambaFormatException">There is no such model, or no export of it.</exception>
    public string FindExport(string model, ElementType? dtype = null)
    {
        ExportSource source;
        if (IsOfHub(model, null, out HubModelId? id))
        {
            string commit = hub.CommitOf(id);
            string snapshot = hub.FolderOf(id, commit);
            if (File.Exists(Path.Combine(snapshot, ModelFiles.Manifest)))
            {
                return hub.Resolve(id).Folder;
            }
            source = ExportSource.Of(id, commit);
        }
        else if (Locate(model) is { IsExported: false } checkpoint)
        {
            source = ExportSource.Of(checkpoint.Folder);
        }
        else
        {
            return model;
        }
        string type = dtype is { } wanted ? $" as {wanted.ShortName()}" : "";
        string option = dtype is { } chosen ? $" --dtype {chosen.ShortName()}" : "";
        return exports.Find(source, dtype)?.Folder
            ?? throw new BambaFormatException(
                exports.Folder,
                $"has no export of {source}{type} in its present state; make one with: bamba-onnx inspect {model}{option}"
            );
    }
}
