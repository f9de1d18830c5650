using Bamba.Onnx.Contract;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hub.Tests;

public sealed class ModelLocatorTests : IDisposable
{
    private readonly CacheFolder hub = new();
    private readonly TemporaryFolder folder = new();
    private readonly ExportCache exports;
    private readonly ModelLocator locator;

    public ModelLocatorTests()
    {
        exports = new ExportCache(folder["exports"]);
        locator = new ModelLocator(new HubCache(hub.Path), exports);
        hub.AddCheckpoint();
        hub.SetBranch("main");
    }

    public void Dispose()
    {
        hub.Dispose();
        folder.Dispose();
    }

    private Task<KeptExport> Keep(ExportSource source) =>
        exports.GetOrMakeAsync(
            source,
            new ExportForm(ElementType.Float32),
            "build",
            target => ExportCacheTests.Export(target),
            TestContext.Current.CancellationToken
        );

    [Fact]
    public void An_id_leads_to_its_snapshot()
    {
        LocatedModel located = locator.Locate("lab/bamba");
        Assert.Equal((hub.Snapshot(), false), (located.Folder, located.IsExported));
        Assert.Equal("lab/bamba", located.Snapshot?.Id.Repository);
    }

    [Fact]
    public void A_snapshot_may_be_exported_already()
    {
        ExportCacheTests.Export(hub.Snapshot());
        Assert.True(locator.Locate("lab/bamba").IsExported);
        Assert.Equal(hub.Snapshot(), locator.FindExport("lab/bamba@main"));
    }

    [Fact]
    public void A_folder_goes_before_an_id_of_that_name()
    {
        // Relative to where the tests run, which is the same for all of them.
        string owner = $"owner{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory($"{owner}/bamba");
            File.WriteAllText($"{owner}/bamba/config.json", "{}");
            LocatedModel located = locator.Locate($"{owner}/bamba");
            Assert.Equal(($"{owner}/bamba", null), (located.Folder, located.Snapshot));
        }
        finally
        {
            Directory.Delete(owner, recursive: true);
        }
        Assert.Throws<BambaFormatException>(() => locator.Locate($"{owner}/bamba"));
    }

    [Theory]
    [InlineData("/nowhere/at-all", "/nowhere/at-all: no such folder")]
    [InlineData("./lab", "./lab: no such folder")]
    [InlineData("nowhere", "nowhere: no such folder")]
    [InlineData("lab/b--c", "lab/b--c: no such folder, and no Hugging Face id: name: 'b--c' contains '--' or '..'")]
    public void What_is_neither_is_refused(string model, string expected) =>
        Assert.Equal(expected, Assert.Throws<BambaFormatException>(() => locator.Locate(model)).Message);

    [Fact]
    public void A_folder_has_no_revision() =>
        Assert.Contains(
            "is a folder, which has no revision such as 'v1'",
            Assert.Throws<ArgumentException>(() => locator.Locate(folder.Path, "v1")).Message
        );

    [Fact]
    public void A_folder_of_something_else_is_refused() =>
        Assert.Contains(
            "expected an exported model (bamba.json) or a checkpoint (config.json), found neither",
            Assert.Throws<BambaFormatException>(() => locator.Locate(folder.Path)).Message
        );

    [Fact]
    public async Task A_kept_export_is_found_by_the_id_when_the_weights_are_gone()
    {
        KeptExport kept = await Keep(ExportSource.Of(hub.Snapshot()));
        Directory.Delete(hub.Snapshot(), recursive: true);
        Assert.Equal(kept.Folder, locator.FindExport("lab/bamba"));
        Assert.Equal(kept.Folder, locator.FindExport($"lab/bamba@{CacheFolder.Commit}"));
        Directory.Delete(hub.Repository, recursive: true);
        Assert.Equal(kept.Folder, locator.FindExport($"lab/bamba@{CacheFolder.Commit}"));
    }

    [Fact]
    public async Task A_kept_export_is_found_by_the_checkpoints_folder()
    {
        Directory.CreateDirectory(folder["checkpoint"]);
        File.WriteAllText(folder["checkpoint/config.json"], "{}");
        KeptExport kept = await Keep(ExportSource.Of(folder["checkpoint"]));
        Assert.Equal(kept.Folder, locator.FindExport(folder["checkpoint"] + "/"));
    }

    [Fact]
    public void Without_an_export_the_message_says_what_was_sought_and_how_to_make_one() =>
        Assert.Equal(
            $"{exports.Folder}: has no export of lab/bamba@{CacheFolder.Commit} as f16 in its present state; "
                + "make one with: bamba-onnx inspect lab/bamba --dtype f16",
            Assert.Throws<BambaFormatException>(() => locator.FindExport("lab/bamba", ElementType.Float16)).Message
        );
}
