using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub;

/// <summary>Hugging Face's cache of models, read without a network. What other tools put there is found, and what is put there is found by them.</summary>
public sealed class HubCache
{
    private const int ShortestPrefix = 7;

    /// <summary>The cache in a folder, which need not exist.</summary>
    public HubCache(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Folder = Path.GetFullPath(folder);
    }

    /// <summary>The folder, <c>~/.cache/huggingface/hub</c> as a rule.</summary>
    public string Folder { get; }

    /// <summary>How to get a model that is not here, or not whole.</summary>
    public static string Advice(HubModelId id)
    {
        ArgumentNullException.ThrowIfNull(id);
        string revision = id.Revision == HubModelId.DefaultRevision ? "" : $" --revision {id.Revision}";
        return $"get it with --download, or by: hf download {id.Repository}{revision}";
    }

    /// <summary>All snapshots of all models, whole or not, in order of names.</summary>
    /// <exception cref="IOException">The folder cannot be read.</exception>
    public IReadOnlyList<HubSnapshot> Snapshots() =>
        [
            .. RepositoryFolder
                .ModelsIn(Folder)
                .OrderBy(id => id.Repository, StringComparer.OrdinalIgnoreCase)
                .SelectMany(id =>
                {
                    RepositoryFolder repository = RepositoryFolder.Of(Folder, id);
                    return repository.Commits().Select(commit => SnapshotOf(repository, id.At(commit), commit));
                }),
        ];

    /// <summary>The snapshot of a model at its revision.</summary>
    /// <param name="id">The model.</param>
    /// <param name="content">What it is wanted for, and so which files it must have.</param>
    /// <exception cref="BambaFormatException">The model or the revision is not here, is ambiguous, or lacks files.</exception>
    public HubSnapshot Resolve(HubModelId id, HubContent content = HubContent.Model)
    {
        ArgumentNullException.ThrowIfNull(id);
        RepositoryFolder repository = RepositoryFolder.Of(Folder, id);
        string commit = CommitOf(id);
        if (!Directory.Exists(repository.Snapshot(commit)))
        {
            throw !Directory.Exists(repository.Path) ? NoModel(id) : NoRevision(repository, id);
        }
        HubSnapshot snapshot = SnapshotOf(repository, id, commit);
        return snapshot.Problem(content) is { } problem
            ? throw new BambaFormatException(
                snapshot.Folder,
                $"is not the whole of {id}: {problem}; a download was interrupted or took only some files; {Advice(id)}"
            )
            : snapshot;
    }

    /// <summary>The commit that a model's revision means here, whether its files are here or not.</summary>
    /// <param name="id">The model.</param>
    /// <exception cref="BambaFormatException">The model or the revision is not here, or is ambiguous.</exception>
    public string CommitOf(HubModelId id)
    {
        ArgumentNullException.ThrowIfNull(id);
        if (id.IsAtCommit)
        {
            return id.Revision;
        }
        RepositoryFolder repository = RepositoryFolder.Of(Folder, id);
        if (!Directory.Exists(repository.Path))
        {
            throw NoModel(id);
        }
        if (repository.CommitOfBranch(id.Revision) is { } commit)
        {
            return commit;
        }
        string[] candidates =
            id.Revision.Length >= ShortestPrefix && id.Revision.All(char.IsAsciiHexDigit)
                ?
                [
                    .. repository
                        .Commits()
                        .Where(known => known.StartsWith(id.Revision, StringComparison.OrdinalIgnoreCase)),
                ]
                : [];
        return candidates.Length switch
        {
            0 => throw NoRevision(repository, id),
            1 => candidates[0],
            _ => throw new BambaFormatException(
                repository.Path,
                $"'{id.Revision}' begins {candidates.Length} commits: {string.Join(", ", candidates)}; give more of it"
            ),
        };
    }

    /// <summary>The folder of a model's files at a commit, whether it is there or not.</summary>
    public string FolderOf(HubModelId id, string commit) => RepositoryFolder.Of(Folder, id).Snapshot(commit);

    private BambaFormatException NoModel(HubModelId id) =>
        new(Folder, $"has no model {id.Repository}, nor is there a folder of that name; {Advice(id)}");

    private static BambaFormatException NoRevision(RepositoryFolder repository, HubModelId id)
    {
        var known = repository.Branches().Select(branch => $"{branch.Name} ({Short(branch.Commit)})").ToList();
        known.AddRange(
            repository.Commits().Except(repository.Branches().Select(branch => branch.Commit)).Select(Short)
        );
        string has = known.Count == 0 ? "no revision at all" : string.Join(", ", known);
        return new BambaFormatException(
            repository.Path,
            $"has no snapshot of revision '{id.Revision}' of {id.Repository}, only {has}; {Advice(id)}"
        );
    }

    private static string Short(string commit) => commit.Length > 12 ? commit[..12] : commit;

    private static HubSnapshot SnapshotOf(RepositoryFolder repository, HubModelId id, string commit) =>
        new(id, commit, repository.Snapshot(commit))
        {
            Branches =
            [
                .. repository.Branches().Where(branch => branch.Commit == commit).Select(branch => branch.Name),
            ],
        };
}
