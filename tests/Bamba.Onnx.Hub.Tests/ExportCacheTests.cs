using Bamba.Onnx.Contract;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hub.Tests;

public sealed class ExportCacheTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly ExportCache cache;

    public ExportCacheTests()
    {
        cache = new ExportCache(folder["exports"]);
        Directory.CreateDirectory(Checkpoint);
        File.WriteAllText(Path.Combine(Checkpoint, "config.json"), "{}");
        File.WriteAllText(Path.Combine(Checkpoint, "model.safetensors"), "weights");
    }

    private string Checkpoint => folder["my-model"];

    private ExportSource Source => ExportSource.Of(Checkpoint);

    public void Dispose() => folder.Dispose();

    private Task<KeptExport> Make(
        ExportSource? source = null,
        string exporter = "build 1",
        ElementType dtype = ElementType.Float32,
        Action<string>? export = null,
        string? quantization = null
    ) =>
        cache.GetOrMakeAsync(
            source ?? Source,
            new ExportForm(dtype, quantization),
            exporter,
            export ?? (target => Export(target, dtype)),
            TestContext.Current.CancellationToken
        );

    /// <summary>A folder that looks like an export.</summary>
    internal static void Export(string target, ElementType dtype = ElementType.Float32)
    {
        Directory.CreateDirectory(target);
        File.WriteAllText(Path.Combine(target, "runtime.onnx"), "graph");
        new ModelManifest
        {
            FormatVersion = 1,
            Producer = "test",
            Source = new ManifestSource { ModelType = "bamba" },
            Options = new ManifestOptions
            {
                Dtype = dtype,
                Weights = true,
                ContextLength = 1,
            },
            Parameters = 1,
            Files = [new ManifestFile("runtime.onnx", 5, "")],
        }.Save(target);
    }

    private string[] Folders() =>
        [
            .. Directory
                .EnumerateDirectories(cache.Folder)
                .Where(name => !name.EndsWith(".locks", StringComparison.Ordinal)),
        ];

    [Fact]
    public async Task An_export_is_made_once_and_found_again()
    {
        KeptExport made = await Make();
        KeptExport again = await Make(export: _ => Assert.Fail("it is here"));
        Assert.Equal(made.Folder, again.Folder);
        Assert.StartsWith(Path.Combine(cache.Folder, "my-model-"), made.Folder);
        Assert.Equal(made.Folder, cache.Find(Source)?.Folder);
        Assert.Equal(made.Folder, Assert.Single(Folders()));
    }

    [Fact]
    public async Task A_changed_checkpoint_has_no_export_and_its_next_one_replaces_the_old()
    {
        KeptExport old = await Make();
        File.WriteAllText(Path.Combine(Checkpoint, "model.safetensors"), "other weights");
        Assert.Null(cache.Find(Source));
        KeptExport made = await Make();
        Assert.NotEqual(old.Folder, made.Folder);
        Assert.Equal(made.Folder, Assert.Single(Folders()));
    }

    [Fact]
    public async Task A_file_that_no_export_reads_changes_nothing()
    {
        KeptExport made = await Make();
        File.WriteAllText(Path.Combine(Checkpoint, "README.md"), "words");
        Assert.Equal(made.Folder, cache.Find(Source)?.Folder);
    }

    [Fact]
    public async Task A_newer_exporter_replaces_what_an_older_one_made()
    {
        KeptExport old = await Make();
        KeptExport made = await Make(exporter: "build 2");
        Assert.False(Directory.Exists(old.Folder));
        Assert.Equal("build 2", cache.Find(Source)?.Exporter);
        Assert.Equal(made.Folder, Assert.Single(Folders()));
    }

    [Fact]
    public async Task What_a_program_has_open_stays_until_the_next_time()
    {
        KeptExport old = await Make();
        using (ExportCache.Hold(old.Folder))
        using (ExportCache.Hold(old.Folder))
        {
            await Make(exporter: "build 2");
            Assert.True(File.Exists(Path.Combine(old.Folder, "runtime.onnx")));
            // The newer one is found all the same.
            Assert.Equal("build 2", cache.Find(Source)?.Exporter);
        }
        KeptExport made = await Make(exporter: "build 3");
        Assert.Equal(made.Folder, Assert.Single(Folders()));
    }

    [Fact]
    public async Task Another_element_type_or_checkpoint_replaces_nothing()
    {
        KeptExport first = await Make();
        KeptExport half = await Make(dtype: ElementType.Float16);
        var id = HubModelId.Parse("lab/bamba");
        await Make(ExportSource.Of(id, CacheFolder.Commit));
        await Make(ExportSource.Of(id, CacheFolder.OtherCommit));
        Assert.Equal(4, Folders().Length);
        Assert.Equal(first.Folder, cache.Find(Source)?.Folder);
        Assert.Equal(half.Folder, cache.Find(Source, ElementType.Float16)?.Folder);
        Assert.Null(cache.Find(Source, ElementType.BFloat16));
    }

    [Fact]
    public async Task Without_float32_another_type_is_found()
    {
        KeptExport half = await Make(dtype: ElementType.Float16);
        Assert.Equal(half.Folder, cache.Find(Source)?.Folder);
    }

    [Fact]
    public async Task Exports_of_other_bits_stand_side_by_side_and_are_found_last()
    {
        KeptExport four = await Make(quantization: "4 bits");
        Assert.Equal(four.Folder, cache.Find(Source)?.Folder);
        KeptExport half = await Make(dtype: ElementType.Float16);
        KeptExport eight = await Make(quantization: "8 bits");
        Assert.Equal(3, Folders().Length);
        Assert.Equal(half.Folder, cache.Find(Source)?.Folder);
        Assert.Equal(eight.Folder, cache.Find(Source, ElementType.Float32)?.Folder);
        KeptExport again = await Make(quantization: "4 bits", export: _ => Assert.Fail("it is here"));
        Assert.Equal((four.Folder, "4 bits"), (again.Folder, again.Quantization));
    }

    [Fact]
    public async Task A_record_of_the_first_format_has_all_bits()
    {
        KeptExport made = await Make();
        string record = Path.Combine(made.Folder, "kept.json");
        string text = File.ReadAllText(record);
        Assert.Contains("\"format_version\": 2", text, StringComparison.Ordinal);
        File.WriteAllText(
            record,
            text.Replace("\"format_version\": 2", "\"format_version\": 1", StringComparison.Ordinal)
        );
        KeptExport again = await Make(export: _ => Assert.Fail("it is here"));
        Assert.Equal((made.Folder, 1), (again.Folder, again.FormatVersion));
    }

    [Fact]
    public async Task A_snapshot_of_the_hub_counts_as_its_model_at_its_commit()
    {
        using var hub = new CacheFolder();
        hub.AddCheckpoint();
        var source = ExportSource.Of(hub.Snapshot());
        Assert.Equal(("lab/bamba", CacheFolder.Commit), (source.Place, source.Commit));
        KeptExport made = await Make(source);
        // Its times differ wherever it is downloaded; what a commit holds does not.
        File.SetLastWriteTimeUtc(Path.Combine(hub.Snapshot(), "config.json"), DateTime.UnixEpoch);
        Assert.Equal(made.Folder, cache.Find(ExportSource.Of(hub.Snapshot()))?.Folder);
    }

    [Fact]
    public async Task A_failed_export_leaves_nothing()
    {
        await Assert.ThrowsAsync<IOException>(() =>
            Make(export: target =>
            {
                Directory.CreateDirectory(target);
                throw new IOException("disk full");
            })
        );
        Assert.Empty(Folders());
    }

    [Fact]
    public async Task What_a_killed_process_left_goes_with_the_next_export()
    {
        string left = cache.FolderOf(Source, new ExportForm(ElementType.Float32), "build 1") + ".making";
        Export(left);
        Export(left + ".0123.tmp");
        Assert.Empty(cache.Exports());
        KeptExport made = await Make();
        Assert.Equal(made.Folder, Assert.Single(Folders()));
    }

    [Theory]
    [InlineData("kept.json", "{")]
    [InlineData("kept.json", "{}")]
    [InlineData("runtime.onnx", "cut")]
    [InlineData("bamba.json", "{}")]
    public async Task A_damaged_export_is_made_again(string file, string content)
    {
        KeptExport made = await Make();
        File.WriteAllText(Path.Combine(made.Folder, file), content);
        Assert.Empty(cache.Exports());
        Assert.Equal(made.Folder, (await Make()).Folder);
        Assert.Single(cache.Exports());
    }

    [Fact]
    public async Task Two_who_want_the_same_export_make_one()
    {
        int made = 0;
        var gate = new TaskCompletionSource();
        Task<KeptExport> first = Task.Run(() => Make(export: Export));
        Task<KeptExport> second = Task.Run(() => Make(export: Export));
        gate.SetResult();
        Assert.Equal((await first).Folder, (await second).Folder);
        Assert.Equal(1, made);

        void Export(string target)
        {
            Interlocked.Increment(ref made);
            gate.Task.Wait();
            ExportCacheTests.Export(target);
        }
    }

    [Fact]
    public void Folders_elsewhere_are_not_held() => Assert.Null(ExportCache.Hold(Checkpoint));
}
