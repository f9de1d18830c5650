using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub.Tests;

public sealed class HubCacheTests : IDisposable
{
    private static readonly HubModelId Id = HubModelId.Parse("lab/bamba");

    private readonly CacheFolder folder = new();

    private HubCache Cache => new(folder.Path);

    public void Dispose() => folder.Dispose();

    private string Refusal(HubModelId id) => Assert.Throws<BambaFormatException>(() => Cache.Resolve(id)).Message;

    [Theory]
    [InlineData("main")]
    [InlineData("refs/pr/1")]
    [InlineData("aaaaaaab")]
    [InlineData(CacheFolder.Commit)]
    public void A_branch_a_commit_and_its_beginning_lead_to_the_snapshot(string revision)
    {
        folder.AddCheckpoint();
        folder.SetBranch("main");
        folder.SetBranch("refs/pr/1");
        HubSnapshot snapshot = Cache.Resolve(Id.At(revision));
        Assert.Equal((folder.Snapshot(), CacheFolder.Commit), (snapshot.Folder, snapshot.Commit));
    }

    [Fact]
    public void A_model_that_is_not_here_is_named_with_the_place_and_the_way_to_get_it() =>
        Assert.Equal(
            $"{folder.Path}: has no model lab/bamba, nor is there a folder of that name; get it with --download, or by: hf download lab/bamba --revision v2",
            Refusal(Id.At("v2"))
        );

    [Fact]
    public void A_revision_that_is_not_here_is_named_with_those_that_are()
    {
        folder.AddCheckpoint();
        folder.AddCheckpoint(CacheFolder.OtherCommit);
        folder.SetBranch("main");
        Assert.StartsWith(
            $"{folder.Repository}: has no snapshot of revision 'v2' of lab/bamba, only main (aaaaaaabbbbb), aaaaaaaccccc;",
            Refusal(Id.At("v2"))
        );
    }

    [Fact]
    public void An_ambiguous_beginning_is_refused()
    {
        folder.AddCheckpoint();
        folder.AddCheckpoint(CacheFolder.OtherCommit);
        Assert.Contains("'aaaaaaa' begins 2 commits", Refusal(Id.At("aaaaaaa")));
    }

    [Fact]
    public void A_branch_whose_files_are_gone_is_not_here()
    {
        folder.SetBranch("main");
        Assert.Contains("has no snapshot of revision 'main' of lab/bamba", Refusal(Id));
    }

    [Theory]
    [InlineData("model.safetensors", null, "model.safetensors is missing")]
    [InlineData("config.json", null, "config.json is missing")]
    [InlineData("model.safetensors", """{"weight_map": {"x": "s.safetensors"}}""", "s.safetensors is missing")]
    [InlineData("model.safetensors", """{"weight_map": {"x": "../s.safetensors"}}""", "found '../s.safetensors'")]
    [InlineData("model.safetensors", """{"weight_map": 3}""", "weight_map: expected an object")]
    public void A_model_in_part_is_refused_with_what_it_lacks(string missing, string? index, string expected)
    {
        folder.AddCheckpoint();
        folder.SetBranch("main");
        File.Delete(Path.Combine(folder.Snapshot(), missing));
        if (index is not null)
        {
            folder.AddFile("model.safetensors.index.json", index);
        }
        string message = Refusal(Id);
        Assert.StartsWith($"{folder.Snapshot()}: is not the whole of lab/bamba: ", message);
        Assert.Contains(expected, message);
        Assert.EndsWith("get it with --download, or by: hf download lab/bamba", message);
    }

    [Fact]
    public void A_link_to_nothing_is_a_missing_file()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need a privilege");
        folder.AddCheckpoint();
        folder.SetBranch("main");
        string weights = Path.Combine(folder.Snapshot(), "model.safetensors");
        File.Delete(weights);
        File.CreateSymbolicLink(weights, "../../blobs/gone");
        Assert.Contains("model.safetensors is missing", Refusal(Id));
        Assert.Equal(folder.Snapshot(), Cache.Resolve(Id, HubContent.WithoutWeights).Folder);
    }

    [Fact]
    public void A_list_has_all_snapshots_with_their_branches_and_sizes()
    {
        folder.AddCheckpoint();
        folder.AddFile("config.json", """{"model_type": "llama"}""", CacheFolder.OtherCommit);
        folder.SetBranch("main");
        Directory.CreateDirectory(Path.Combine(folder.Path, "datasets--lab--words"));
        Directory.CreateDirectory(Path.Combine(folder.Path, "models--without-owner"));
        IReadOnlyList<HubSnapshot> snapshots = Cache.Snapshots();
        Assert.Equal([CacheFolder.Commit, CacheFolder.OtherCommit], snapshots.Select(snapshot => snapshot.Commit));
        Assert.Equal([true, false], snapshots.Select(snapshot => snapshot.IsBamba));
        Assert.Equal(["main"], snapshots[0].Branches);
        Assert.Equal(23 + 7, snapshots[0].Bytes);
        Assert.Equal((null, "model.safetensors is missing"), (snapshots[0].Problem(), snapshots[1].Problem()));
    }

    [Fact]
    public void A_cache_that_is_not_there_is_empty() =>
        Assert.Empty(new HubCache(Path.Combine(folder.Path, "nowhere")).Snapshots());

    [Fact]
    public void Where_links_are_refused_a_snapshot_gets_a_copy()
    {
        var repository = new RepositoryFolder(folder.Path, "lab", "bamba")
        {
            Link = (_, _) => throw new UnauthorizedAccessException("no privilege"),
        };
        Directory.CreateDirectory(Path.GetDirectoryName(repository.Blob("e"))!);
        File.WriteAllText(repository.Blob("e"), "content");
        repository.Show(CacheFolder.Commit, "config.json", "e");
        var shown = new FileInfo(Path.Combine(folder.Snapshot(), "config.json"));
        Assert.Null(shown.LinkTarget);
        Assert.Equal("content", File.ReadAllText(shown.FullName));
        // Another process may be reading it, so it is not written again.
        DateTime written = shown.LastWriteTimeUtc;
        File.SetLastWriteTimeUtc(repository.Blob("e"), written.AddDays(1));
        repository.Show(CacheFolder.Commit, "config.json", "e");
        shown.Refresh();
        Assert.Equal(written, shown.LastWriteTimeUtc);
        Assert.Equal(
            ["e"],
            Directory.EnumerateFiles(Path.GetDirectoryName(repository.Blob("e"))!).Select(Path.GetFileName)
        );
    }

    [Fact]
    public async Task A_lock_waits_for_its_holder()
    {
        string path = Path.Combine(folder.Path, "x.lock");
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        Task<FileLock> second;
        using (await FileLock.AcquireAsync(path, cancellation))
        {
            second = FileLock.AcquireAsync(path, cancellation);
            await Task.Delay(30, cancellation);
            Assert.False(second.IsCompleted);
        }
        (await second).Dispose();
    }
}
