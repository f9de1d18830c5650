using Bamba.Onnx.Contract;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hub.Tests;

public sealed class HubClientTests : HubClientTest
{
    private static readonly string[] All = ["config.json", "model.safetensors", "tokenizer.json"];

    [Fact]
    public async Task A_model_comes_whole_and_is_found_without_a_network_afterwards()
    {
        HubSnapshot snapshot = await DownloadAsync();
        AssertWhole(snapshot, All);
        Assert.Equal(TestHub.Commit, snapshot.Commit);
        Assert.Equal(Path.Combine(Cache, "models--lab--bamba-small", "snapshots", TestHub.Commit), snapshot.Folder);
        Assert.Equal(TestHub.Commit, File.ReadAllText(Path.Combine(Cache, "models--lab--bamba-small", "refs", "main")));
        Assert.Equal(snapshot.Folder, new HubCache(Cache).Resolve(Id).Folder);
        Assert.Equal(snapshot.Folder, new HubCache(Cache).Resolve(Id.At("0123456")).Folder);
    }

    [Fact]
    public async Task A_branch_named_as_the_commit_begins_is_remembered()
    {
        string branch = TestHub.Commit[..1];
        HubSnapshot snapshot = await DownloadAsync(Id.At(branch));
        Assert.Equal(TestHub.Commit, File.ReadAllText(Path.Combine(Cache, "models--lab--bamba-small", "refs", branch)));
        Assert.Equal(snapshot.Folder, new HubCache(Cache).Resolve(Id.At(branch)).Folder);
    }

    [Fact]
    public async Task Files_of_a_snapshot_are_relative_links_to_blobs_named_by_their_hash()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "links need a privilege");
        HubSnapshot snapshot = await DownloadAsync();
        Assert.Equal(
            Path.Combine("..", "..", "blobs", Hub.Files["model.safetensors"].Hash),
            new FileInfo(Path.Combine(snapshot.Folder, "model.safetensors")).LinkTarget
        );
    }

    [Fact]
    public async Task An_export_with_a_graph_in_a_folder_comes_whole()
    {
        var manifest = new ModelManifest
        {
            FormatVersion = ModelManifest.CurrentFormatVersion,
            Producer = "test",
            Source = new ManifestSource { ModelType = BambaConfig.ModelType },
            Options = new ManifestOptions
            {
                Dtype = ElementType.Float32,
                Profiles = [GraphProfile.Web],
                WebDtype = WebDtype.Fp32,
                Weights = true,
                ContextLength = 16,
            },
            Parameters = 1,
            Files = [new ManifestFile("onnx/model.onnx", 5, ""), new ManifestFile("onnx/model.onnx_data", 7, "")],
        };
        using var folder = new TemporaryFolder();
        manifest.Save(folder.Path);
        Hub.Add(new HubFile(ModelFiles.Manifest, File.ReadAllBytes(folder[ModelFiles.Manifest])));
        Hub.Add(new HubFile("onnx/model.onnx", new byte[5]));
        Hub.Add(new HubFile("onnx/model.onnx_data", new byte[7]));
        Hub.Add(new HubFile("onnx/other.onnx", new byte[3]));

        HubSnapshot snapshot = await DownloadAsync();
        Assert.Equal(
            ["model.onnx", "model.onnx_data"],
            Directory.GetFiles(Path.Combine(snapshot.Folder, "onnx")).Select(Path.GetFileName).Order()
        );
        Assert.Equal(new byte[7], File.ReadAllBytes(Path.Combine(snapshot.Folder, "onnx", "model.onnx_data")));
        Assert.Null(snapshot.Problem());
    }

    [Fact]
    public async Task What_is_here_already_is_not_asked_for_again()
    {
        await DownloadAsync();
        int before = Hub.Requests.Count;
        await DownloadAsync();
        Assert.Equal(
            ["/api/models/lab/bamba-small/revision/main"],
            Hub.Requests.Skip(before).Select(seen => seen.Path)
        );
        // What a commit means never changes.
        before = Hub.Requests.Count;
        await DownloadAsync(Id.At(TestHub.Commit));
        Assert.Equal(before, Hub.Requests.Count);
    }

    [Fact]
    public async Task Without_weights_only_small_files_come()
    {
        HubSnapshot snapshot = await DownloadAsync(content: HubContent.WithoutWeights);
        AssertWhole(snapshot, "config.json", "tokenizer.json");
        AssertNotUsable();
        AssertWhole(await DownloadAsync(), All);
    }

    [Fact]
    public async Task Of_a_sharded_checkpoint_the_shards_of_its_index_come()
    {
        Hub.Files.Remove("model.safetensors");
        Hub.Add(
            HubFile.Text(
                "model.safetensors.index.json",
                """{"weight_map": {"a": "s-1.safetensors", "b": "s-2.safetensors"}}"""
            )
        );
        Hub.Add(HubFile.Weights("s-1.safetensors", 1000));
        Hub.Add(HubFile.Weights("s-2.safetensors", 2000));
        Hub.Add(HubFile.Weights("other.safetensors", 3000));
        AssertWhole(
            await DownloadAsync(),
            "config.json",
            "model.safetensors.index.json",
            "s-1.safetensors",
            "s-2.safetensors",
            "tokenizer.json"
        );
    }

    [Fact]
    public async Task A_shard_that_the_repository_lacks_is_named()
    {
        Hub.Files.Remove("model.safetensors");
        Hub.Add(HubFile.Text("model.safetensors.index.json", """{"weight_map": {"a": "s-1.safetensors"}}"""));
        var error = await Assert.ThrowsAsync<Contract.BambaFormatException>(() => DownloadAsync());
        Assert.EndsWith("weight_map: names s-1.safetensors, which lab/bamba-small has not", error.Message);
        AssertNotUsable();
    }

    [Fact]
    public async Task The_token_goes_to_the_hub_and_never_to_the_storage()
    {
        Hub.RequiredToken = "hf_secret";
        AssertWhole(await DownloadAsync(settings: Settings with { Token = "hf_secret" }), All);
        Assert.All(
            Hub.Requests,
            seen => Assert.Equal(seen.IsOfStorage ? null : "Bearer hf_secret", seen.Authorization)
        );
        Assert.Contains(Hub.Requests, seen => seen.IsOfStorage);
    }

    [Fact]
    public async Task A_model_that_moved_is_found_where_it_is()
    {
        var old = HubModelId.Parse("lab/old-name");
        foreach (string name in All)
        {
            string path = $"/resolve/{TestHub.Commit}/{name}";
            foreach (string method in (string[])["HEAD", "GET"])
            {
                Hub.Fail($"lab/old-name{path}", Answers.RedirectTo($"/{TestHub.Model}{path}"), method);
            }
        }
        Hub.Fail("lab/old-name/revision/main", Answers.RedirectTo($"/api/models/{TestHub.Model}/revision/main"));
        HubSnapshot snapshot = await DownloadAsync(old, Settings with { Token = "hf_secret" });
        Assert.Contains("models--lab--old-name", snapshot.Folder);
        Assert.Equal(
            Hub.Files["model.safetensors"].Content,
            File.ReadAllBytes(Path.Combine(snapshot.Folder, "model.safetensors"))
        );
    }

    [Fact]
    public async Task Progress_ends_with_all_bytes()
    {
        var reports = new List<HubProgress>();
        await DownloadAsync(progress: new Reports(reports.Add));
        long total = All.Sum(name => Hub.Files[name].Content.Length);
        Assert.Equal(new HubProgress("model.safetensors", total, total), reports[^1]);
        Assert.Equal(reports.Select(report => report.DoneBytes).Order(), reports.Select(report => report.DoneBytes));
    }

    [Fact(Timeout = 30_000)]
    public async Task Two_downloads_at_once_share_the_work()
    {
        var gate = new TaskCompletionSource();
        byte[] weights = Hub.Files["model.safetensors"].Content;
        Hub.Fail(
            "signed/model.safetensors",
            Answers.Beginning(
                weights,
                10_000,
                async context =>
                {
                    await gate.Task;
                    await context.Response.Body.WriteAsync(weights.AsMemory(10_000));
                }
            )
        );
        Task<HubSnapshot> first = DownloadAsync();
        Task<HubSnapshot> second = DownloadAsync();
        // Both have asked what the file is; one of them is inside it.
        while (
            Hub.Requests.Count(seen =>
                seen.Method == "HEAD" && seen.Path.EndsWith("model.safetensors", StringComparison.Ordinal)
            ) < 2
            || !Hub.Gets("signed/model.safetensors").Any()
        )
        {
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }
        gate.SetResult();
        AssertWhole(await first, All);
        AssertWhole(await second, All);
        Assert.Single(Hub.Gets("signed/model.safetensors"));
    }

    [Fact]
    public async Task Offline_what_is_here_is_used_and_nothing_is_asked()
    {
        HubSettings offline = Settings with { Offline = true };
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync(settings: offline));
        Assert.Equal(
            $"lab/bamba-small: is not whole in {Cache}, and HF_HUB_OFFLINE forbids to download it",
            error.Message
        );
        Assert.Empty(Hub.Requests);
        await DownloadAsync();
        int before = Hub.Requests.Count;
        AssertWhole(await DownloadAsync(settings: offline), All);
        Assert.Equal(before, Hub.Requests.Count);
    }
}
