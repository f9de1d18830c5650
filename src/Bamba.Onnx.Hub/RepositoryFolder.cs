namespace Bamba.Onnx.Hub;

/// <summary>
/// A model's folder in Hugging Face's cache: <c>blobs</c> named by their hash, <c>snapshots</c> of links to them, a folder for each
/// commit, and <c>refs</c>, a file for each branch or tag with its commit. Locks lie beside all repositories, where Hugging
/// Face's own tools look for them.
/// </summary>
internal sealed class RepositoryFolder
{
    private const string Prefix = "models--";
    private const string Separator = "--";

    private readonly string cache;
    private readonly string name;

    public RepositoryFolder(string cache, string owner, string repository)
    {
        this.cache = cache;
        name = $"{Prefix}{owner}{Separator}{repository}";
        Path = System.IO.Path.Combine(cache, name);
    }

    public string Path { get; }

    /// <summary>Makes a link at a place to a target. Windows lets only some users make any.</summary>
    public Action<string, string> Link { get; init; } = (place, target) => File.CreateSymbolicLink(place, target);

    private string References => System.IO.Path.Combine(Path, "refs");

    private string Snapshots => System.IO.Path.Combine(Path, "snapshots");

    public static RepositoryFolder Of(string cache, HubModelId id) => new(cache, id.Owner, id.Name);

    /// <summary>The models whose folders a cache has.</summary>
    public static IEnumerable<HubModelId> ModelsIn(string cache) =>
        FoldersIn(cache)
            .Where(folder => folder.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(folder => folder[Prefix.Length..].Split(Separator))
            .Where(parts => parts.Length == 2)
            .Select(parts => HubModelId.TryParse($"{parts[0]}/{parts[1]}", null, out HubModelId? id, out _) ? id : null)
            .OfType<HubModelId>();

    /// <summary>The id and commit of a folder that is a snapshot by its place.</summary>
    public static (HubModelId Id, string Commit)? SnapshotAt(string folder)
    {
        var snapshot = new DirectoryInfo(
            System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(folder))
        );
        DirectoryInfo? repository = snapshot.Parent is { Name: "snapshots" } parent ? parent.Parent : null;
        string[] parts = repository?.Name.Split(Separator) ?? [];
        return
            parts is ["models", var owner, var name]
            && HubModelId.IsCommit(snapshot.Name)
            && HubModelId.TryParse($"{owner}/{name}", snapshot.Name, out HubModelId? id, out _)
            ? (id, snapshot.Name)
            : null;
    }

    public string Blob(string etag) => System.IO.Path.Combine(Path, "blobs", etag);

    public string Incomplete(string etag) => $"{Blob(etag)}.incomplete";

    public string Lock(string etag) => System.IO.Path.Combine(cache, ".locks", name, $"{etag}.lock");

    public string Snapshot(string commit) => System.IO.Path.Combine(Snapshots, commit);

    /// <summary>Commits that have a snapshot, in order.</summary>
    public IEnumerable<string> Commits() =>
        FoldersIn(Snapshots).Where(HubModelId.IsCommit).Order(StringComparer.Ordinal);

    /// <summary>Branches and tags with their commits, in order of names.</summary>
    public IEnumerable<(string Name, string Commit)> Branches() =>
        Directory.Exists(References)
            ? Directory
                .EnumerateFiles(References, "*", SearchOption.AllDirectories)
                .Select(file =>
                    (
                        Name: System.IO.Path.GetRelativePath(References, file).Replace('\\', '/'),
                        File.ReadAllText(file).Trim()
                    )
                )
                .OrderBy(branch => branch.Name, StringComparer.Ordinal)
            : [];

    /// <summary>The commit of a branch or tag, null where it is unknown.</summary>
    public string? CommitOfBranch(string revision)
    {
        string file = Reference(revision);
        return File.Exists(file) && File.ReadAllText(file).Trim() is var commit && HubModelId.IsCommit(commit)
            ? commit
            : null;
    }

    /// <summary>Makes a branch or tag mean a commit, in one step.</summary>
    public void SetBranch(string revision, string commit)
    {
        string file = Reference(revision);
        if (CommitOfBranch(revision) == commit)
        {
            return;
        }
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file)!);
        // Outside refs, where every file counts as a branch.
        string written = System.IO.Path.Combine(Path, $"{Guid.NewGuid():N}.tmp");
        File.WriteAllText(written, commit);
        File.Move(written, file, overwrite: true);
    }

    /// <summary>Makes a file of a snapshot show a blob: a relative link, or a copy where links are refused.</summary>
    public void Show(string commit, string fileName, string etag)
    {
        string place = System.IO.Path.Combine(Snapshot(commit), fileName);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(place)!);
        // What a commit has under a name never changes, and another process may be reading it.
        if (ModelFolderContents.Has(Snapshot(commit), fileName))
        {
            return;
        }
        // A link to nothing, which an interrupted cleaning leaves, is in the way too.
        File.Delete(place);
        try
        {
            string up = string.Concat(Enumerable.Repeat("../", 2 + fileName.Count(c => c == '/')));
            Link(place, System.IO.Path.Combine(up, "blobs", etag));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException && !File.Exists(place))
        {
            string copy = $"{Blob(etag)}.{Guid.NewGuid():N}.tmp";
            File.Copy(Blob(etag), copy);
            File.Move(copy, place, overwrite: true);
        }
    }

    private string Reference(string revision) => System.IO.Path.Combine([References, .. revision.Split('/')]);

    private static IEnumerable<string> FoldersIn(string folder) =>
        Directory.Exists(folder)
            ? Directory.EnumerateDirectories(folder).Select(System.IO.Path.GetFileName).OfType<string>()
            : [];
}
