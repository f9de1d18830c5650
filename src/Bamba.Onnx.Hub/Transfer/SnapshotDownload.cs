using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub.Transfer;

/// <summary>Fills a snapshot of the cache, file by file.</summary>
internal sealed class SnapshotDownload(
    HubHttp http,
    RepositoryFolder repository,
    HubModelId id,
    string commit,
    TimeProvider time,
    IProgress<HubProgress>? progress
)
{
    private long doneBytes;
    private long totalBytes;

    /// <summary>Gets those files that the snapshot lacks.</summary>
    public async Task GetAsync(IEnumerable<string> names, CancellationToken cancellationToken)
    {
        var files = new List<RemoteFile>();
        foreach (string name in names.Where(name => !ModelFolderContents.Has(repository.Snapshot(commit), name)))
        {
            files.Add(await AskAsync(name, cancellationToken).ConfigureAwait(false));
            totalBytes += files[^1].Bytes;
        }
        foreach (RemoteFile file in files)
        {
            await GetAsync(file, cancellationToken).ConfigureAwait(false);
            doneBytes += file.Bytes;
            progress?.Report(new HubProgress(file.Name, doneBytes, totalBytes));
        }
    }

    /// <summary>The files of weights that the snapshot's index names.</summary>
    /// <param name="names">All files of the repository.</param>
    /// <exception cref="BambaFormatException">The index is damaged, or names a file that the repository lacks.</exception>
    public IReadOnlyList<string> Shards(IReadOnlySet<string> names)
    {
        string index = Path.Combine(repository.Snapshot(commit), ModelFiles.CheckpointIndex);
        IReadOnlyList<string> shards = ModelFolderContents.ShardsOf(index);
        return shards.FirstOrDefault(shard => !names.Contains(shard)) is { } missing
            ? throw new BambaFormatException(index, $"weight_map: names {missing}, which {id} has not")
            : shards;
    }

    /// <summary>Lets what was asked for mean the commit: a branch, a tag or, as Hugging Face's tools have it, the commit's beginning.</summary>
    public void NameCommit()
    {
        if (!commit.Equals(id.Revision, StringComparison.OrdinalIgnoreCase))
        {
            repository.SetBranch(id.Revision, commit);
        }
    }

    private Task<RemoteFile> AskAsync(string name, CancellationToken cancellationToken)
    {
        HubRequest request = http.File(id, commit, name);
        return Patience.TryAsync(
            time,
            async () =>
            {
                using HttpResponseMessage response = await http.SendAsync(
                        HttpMethod.Head,
                        request,
                        0,
                        cancellationToken
                    )
                    .ConfigureAwait(false);
                return HubAnswers.Announced(response, request);
            },
            cancellationToken
        );
    }

    private async Task GetAsync(RemoteFile file, CancellationToken cancellationToken)
    {
        using FileLock held = await FileLock
            .AcquireAsync(repository.Lock(file.Hash), cancellationToken)
            .ConfigureAwait(false);
        string blob = repository.Blob(file.Hash);
        if (!File.Exists(blob))
        {
            string incomplete = repository.Incomplete(file.Hash);
            Directory.CreateDirectory(Path.GetDirectoryName(incomplete)!);
            var download = new BlobDownload(
                http,
                http.File(id, commit, file.Name),
                file,
                incomplete,
                time,
                bytes => progress?.Report(new HubProgress(file.Name, doneBytes + bytes, totalBytes))
            );
            await download.RunAsync(cancellationToken).ConfigureAwait(false);
            File.Move(incomplete, blob);
        }
        repository.Show(commit, file.Name, file.Hash);
    }
}
