using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Hub;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests;

public sealed class KeptExportTests : IDisposable
{
    private const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly TemporaryFolder folder = new();
    private readonly BambaRuntimeOptions options;

    public KeptExportTests()
    {
        options = new BambaRuntimeOptions { HubCacheFolder = folder["hub"], ExportCacheFolder = folder["exports"] };
    }

    public void Dispose() => folder.Dispose();

    private Task<KeptExport> Keep(
        ExportSource source,
        ElementType dtype = ElementType.Float32,
        string exporter = "1"
    ) =>
        new ExportCache(options.ExportCacheFolder).GetOrMakeAsync(
            source,
            new ExportForm(dtype),
            exporter,
            target => BambaExporter.Export(TestData.Case("base"), target, new ExportOptions { Dtype = dtype }),
            TestContext.Current.CancellationToken
        );

    [Fact]
    public async Task A_checkpoint_folder_is_loaded_by_its_kept_export()
    {
        KeptExport kept = await Keep(ExportSource.Of(TestData.Case("base")));
        using BambaRuntime runtime = await BambaRuntime.LoadAsync(
            TestData.Case("base"),
            options,
            TestContext.Current.CancellationToken
        );
        Assert.Equal(kept.Folder, runtime.Folder);
    }

    [Fact]
    public async Task An_id_is_loaded_by_its_kept_export_of_the_type_that_is_asked_for()
    {
        Directory.CreateDirectory(folder["hub/models--lab--base/refs"]);
        File.WriteAllText(folder["hub/models--lab--base/refs/main"], Commit);
        var source = ExportSource.Of(HubModelId.Parse("lab/base"), Commit);
        KeptExport half = await Keep(source, ElementType.Float16);
        KeptExport single = await Keep(source);
        using BambaRuntime runtime = BambaRuntime.Load("lab/base", options);
        Assert.Equal(single.Folder, runtime.Folder);
        using BambaRuntime chosen = BambaRuntime.Load(
            $"lab/base@{Commit}",
            options with
            {
                Dtype = ElementType.Float16,
            }
        );
        Assert.Equal(half.Folder, chosen.Folder);
    }

    [Fact]
    public void Without_an_export_the_message_names_the_command_that_makes_one()
    {
        string checkpoint = TestData.Case("base");
        Assert.Equal(
            $"{options.ExportCacheFolder}: has no export of {checkpoint} in its present state; make one with: bamba-onnx inspect {checkpoint}",
            Assert.Throws<BambaFormatException>(() => BambaRuntime.Load(checkpoint, options)).Message
        );
        Assert.Contains(
            "has no model lab/base",
            Assert.Throws<BambaFormatException>(() => BambaRuntime.Load("lab/base", options)).Message
        );
    }

    [Fact]
    public async Task A_loaded_export_stays_until_its_last_session_ends()
    {
        var source = ExportSource.Of(TestData.Case("base"));
        KeptExport old = await Keep(source);
        BambaRuntime runtime = BambaRuntime.Load(TestData.Case("base"), options);
        using (runtime.CreateSession(contextLength: 8))
        {
            runtime.Dispose();
            await Keep(source, exporter: "2");
            Assert.True(Directory.Exists(old.Folder));
        }
        await Keep(source, exporter: "3");
        Assert.False(Directory.Exists(old.Folder));
    }
}
