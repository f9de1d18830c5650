using System.Buffers;
using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Hub.Transfer;

namespace Bamba.Onnx.Hub;

/// <summary>
/// Downloads models into Hugging Face's cache. Only the files that a model needs come, none that is there already; an interrupted
/// file goes on where it ended; none gets its name before its size and hash are right. Of several processes that want the same file
/// one downloads it while the others wait.
/// </summary>
public sealed class HubClient : IDisposable
{
    private static readonly SearchValues<char> NameCharacters = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
    );

    private readonly HubSettings settings;
    private readonly HubCache cache;
    private readonly HubHttp http;
    private readonly TimeProvider time;

    /// <summary>A client for a hub and a cache.</summary>
    /// <param name="settings">The hub, the cache, the token.</param>
    /// <param name="time">The clock of pauses between attempts; null for the system's.</param>
    /// <exception cref="IOException">The token's file cannot be read.</exception>
    public HubClient(HubSettings settings, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(settings);
        this.settings = settings;
        this.time = time ?? TimeProvider.System;
        cache = new HubCache(settings.HubCacheFolder);
        http = new HubHttp(settings.Endpoint, settings.ReadToken(), this.time);
    }

    /// <summary>Makes a model whole in the cache, at the commit that its revision means now.</summary>
    /// <param name="id">The model.</param>
    /// <param name="content">What it is wanted for, and so which files.</param>
    /// <param name="progress">Hears of bytes.</param>
    /// <param name="cancellationToken">Ends the download; the next one goes on from there.</param>
    /// <exception cref="HubException">The hub has no such model, refuses it, cannot be reached, or sends something else than it announced.</exception>
    /// <exception cref="BambaFormatException">The model lacks files, or the hub's answer is no answer.</exception>
    /// <exception cref="IOException">The cache cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The download was cancelled.</exception>
    public async Task<HubSnapshot> DownloadAsync(
        HubModelId id,
        HubContent content = HubContent.Model,
        IProgress<HubProgress>? progress = null,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(id);
        if ((settings.Offline || id.IsAtCommit) && Cached(id, content) is { } here)
        {
            return here;
        }
        if (settings.Offline)
        {
            throw new HubException($"{id}: is not whole in {cache.Folder}, and HF_HUB_OFFLINE forbids to download it");
        }
        (string commit, IReadOnlySet<string> names) = await ListAsync(id, cancellationToken).ConfigureAwait(false);
        var transfer = new SnapshotDownload(http, RepositoryFolder.Of(cache.Folder, id), id, commit, time, progress);
        await transfer.GetAsync(FilesBefore(id, names, content), cancellationToken).ConfigureAwait(false);
        if (content == HubContent.Model && NeedsShards(names))
        {
            await transfer.GetAsync(transfer.Shards(names), cancellationToken).ConfigureAwait(false);
        }
        // Only now, so that an interrupted download leaves the branch at a commit that may be whole.
        transfer.NameCommit();
        return cache.Resolve(id.At(commit), content) with { Id = id };
    }

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();

    private HubSnapshot? Cached(HubModelId id, HubContent content)
    {
        try
        {
            return cache.Resolve(id, content);
        }
        catch (BambaFormatException)
        {
            return null;
        }
    }

    private async Task<(string Commit, IReadOnlySet<string> Names)> ListAsync(
        HubModelId id,
        CancellationToken cancellationToken
    )
    {
        HubRequest request = http.Revision(id);
        byte[] answer = await Patience
            .TryAsync(
                time,
                async () =>
                {
                    using HttpResponseMessage response = await http.SendAsync(
                            HttpMethod.Get,
                            request,
                            0,
                            cancellationToken
                        )
                        .ConfigureAwait(false);
                    return await http.ReadAsync(request, response.Content.ReadAsByteArrayAsync, cancellationToken)
                        .ConfigureAwait(false);
                },
                cancellationToken
            )
            .ConfigureAwait(false);
        using JsonDocument json = JsonFile.Parse(answer, request.Uri.AbsoluteUri);
        var root = new JsonAt(json.RootElement, request.Uri.AbsoluteUri, "");
        JsonAt sha = root.Get("sha");
        return HubModelId.IsCommit(sha.Text())
            ? (
                sha.Text(),
                root.Get("siblings")
                    .Items()
                    .Select(sibling => sibling.Get("rfilename").Text())
                    // What else lies in folders or has a strange name belongs to no model.
                    .Where(name =>
                        !name.AsSpan().ContainsAnyExcept(NameCharacters) || ModelFolderContents.IsOfExport(name)
                    )
                    .ToHashSet(StringComparer.Ordinal)
            )
            : throw sha.Expected($"a commit, {HubModelId.CommitLength} hexadecimal digits");
    }

    /// <summary>The files that are known from the list: all, except shards that only their index names.</summary>
    private static IEnumerable<string> FilesBefore(HubModelId id, IReadOnlySet<string> names, HubContent content)
    {
        bool exported = names.Contains(ModelFiles.Manifest);
        if (!exported && !names.Contains(ModelFiles.Config))
        {
            throw new HubException(
                $"{id}: is no Bamba model: it has neither {ModelFiles.Config} nor {ModelFiles.Manifest}"
            );
        }
        IEnumerable<string> companions = names.Where(name =>
            ModelFolderContents.IsCompanion(name) || name == ModelFiles.Manifest
        );
        if (content == HubContent.WithoutWeights)
        {
            return companions.Order(StringComparer.Ordinal);
        }
        if (exported)
        {
            return names
                .Where(name => ModelFolderContents.IsCompanion(name) || ModelFolderContents.IsOfExport(name))
                .Order(StringComparer.Ordinal);
        }
        // One file goes before an index, as in Hugging Face's loader.
        string weights =
            names.Contains(ModelFiles.Checkpoint) ? ModelFiles.Checkpoint
            : names.Contains(ModelFiles.CheckpointIndex) ? ModelFiles.CheckpointIndex
            : throw new HubException(
                $"{id}: has no weights in safetensors: neither {ModelFiles.Checkpoint} nor {ModelFiles.CheckpointIndex}"
            );
        return companions.Order(StringComparer.Ordinal).Append(weights);
    }

    private static bool NeedsShards(IReadOnlySet<string> names) =>
        !names.Contains(ModelFiles.Manifest)
        && !names.Contains(ModelFiles.Checkpoint)
        && names.Contains(ModelFiles.CheckpointIndex);
}
