using System.Collections.Immutable;

namespace Bamba.Onnx.Hub;

/// <summary>
/// A checkpoint as the cache of exports knows it: a model of the hub at a commit, which never changes, or a folder, whose files'
/// sizes and times tell a change.
/// </summary>
public sealed record ExportSource
{
    /// <summary><c>owner/name</c> for a model of the hub, else the full path of a folder.</summary>
    public required string Place { get; init; }

    /// <summary>The commit of a model of the hub, null for a folder.</summary>
    public string? Commit { get; init; }

    /// <summary>The files of a folder that an export reads, in order of names; none for a model of the hub.</summary>
    public ImmutableArray<SourceFile> Files { get; init; } = [];

    /// <summary>What people call it: the last part of its place.</summary>
    public string Name => Path.GetFileName(Place);

    /// <summary>A checkpoint folder. One that is a snapshot of Hugging Face's cache counts as the model at its commit.</summary>
    /// <exception cref="IOException">The folder cannot be read.</exception>
    public static ExportSource Of(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (RepositoryFolder.SnapshotAt(folder) is var (id, commit))
        {
            return Of(id, commit);
        }
        string full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
        return new ExportSource
        {
            Place = full,
            Files =
            [
                .. ModelFolderContents
                    .OfCheckpoint(full)
                    .Select(entry => new SourceFile(entry.Name, entry.File.Length, entry.File.LastWriteTimeUtc)),
            ],
        };
    }

    /// <summary>A model of the hub at a commit.</summary>
    public static ExportSource Of(HubModelId id, string commit)
    {
        ArgumentNullException.ThrowIfNull(id);
        return new ExportSource { Place = id.Repository, Commit = commit };
    }

    /// <summary>Whether both are the same checkpoint, in the same state or not.</summary>
    public bool IsSameCheckpoint(ExportSource other) =>
        other is not null && Place == other.Place && Commit == other.Commit;

    /// <summary>Whether both are the same checkpoint in the same state, so that an export of one is one of the other.</summary>
    public bool IsSameState(ExportSource other) => IsSameCheckpoint(other) && Files.SequenceEqual(other.Files);

    /// <inheritdoc/>
    public override string ToString() => Commit is null ? Place : $"{Place}@{Commit}";
}

/// <summary>A file of a checkpoint folder.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Modified">When it was written last, UTC.</param>
public sealed record SourceFile(string Name, long Bytes, DateTime Modified);
