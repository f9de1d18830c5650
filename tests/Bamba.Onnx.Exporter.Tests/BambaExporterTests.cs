using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Tests.Weights;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests;

public sealed class BambaExporterTests
{
    /// <summary>Cancels an export when its weights are being written.</summary>
    private sealed class CancelWhileWriting(CancellationTokenSource cancellation) : IProgress<ExportProgress>
    {
        public void Report(ExportProgress value)
        {
            if (value.Stage == ExportStage.Writing)
            {
                cancellation.Cancel();
            }
        }
    }

    private sealed class Stages : IProgress<ExportProgress>
    {
        public List<ExportProgress> Reports { get; } = [];

        public void Report(ExportProgress value) => Reports.Add(value);
    }

    [Fact]
    public void An_export_cancelled_while_writing_leaves_an_earlier_one_as_it_was()
    {
        using var folder = new TemporaryFolder();
        string target = folder["model"];
        BambaExporter.Export(TestData.Case("base"), target, new ExportOptions());
        byte[] before = File.ReadAllBytes(Path.Combine(target, "bamba.json"));

        using var cancellation = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            BambaExporter.Export(
                TestData.TinyShakespeare,
                target,
                new ExportOptions(),
                new CancelWhileWriting(cancellation),
                cancellation.Token
            )
        );
        Assert.Equal([target], Directory.GetFileSystemEntries(folder.Path));
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(target, "bamba.json")));
    }

    [Fact]
    public void A_full_disk_is_an_error_and_leaves_nothing()
    {
        using SmallDisk disk = SmallDisk.MountOrSkip("size=1m");
        string target = Path.Combine(disk.Path, "model");
        Assert.Throws<IOException>(() => BambaExporter.Export(TestData.TinyShakespeare, target, new ExportOptions()));
        Assert.Empty(Directory.GetFileSystemEntries(disk.Path));
    }

    [Fact]
    public void A_read_only_target_is_an_error()
    {
        using SmallDisk disk = SmallDisk.MountOrSkip("size=1m,ro");
        string target = Path.Combine(disk.Path, "model");
        Exception? error = Record.Exception(() =>
            BambaExporter.Export(TestData.Case("base"), target, new ExportOptions())
        );
        Assert.True(error is IOException or UnauthorizedAccessException, $"{error}");
        Assert.Contains("read-only", error!.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void Progress_goes_through_every_stage_up_to_all_bytes()
    {
        using var folder = new TemporaryFolder();
        var stages = new Stages();
        ModelManifest manifest = BambaExporter.Export(
            TestData.Case("base"),
            folder["model"],
            new ExportOptions(),
            stages
        );
        Assert.Equal(
            Enum.GetValues<ExportStage>().Except([ExportStage.Calibrating, ExportStage.Checking]),
            stages.Reports.Select(report => report.Stage).Distinct()
        );
        Assert.Equal(
            manifest.Files.Single(file => file.Name == ModelFiles.Weights).Bytes,
            stages.Reports.Last(report => report.Stage == ExportStage.Hashing).DoneBytes
        );
    }

    [Fact]
    public void A_missing_shard_is_named_before_anything_is_written()
    {
        using var folder = new TemporaryFolder();
        string checkpoint = Directory.CreateDirectory(folder["checkpoint"]).FullName;
        File.Copy(Path.Combine(TestData.Case("base"), "config.json"), Path.Combine(checkpoint, "config.json"));
        File.WriteAllText(
            Path.Combine(checkpoint, ModelFiles.CheckpointIndex),
            """{"weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors"}}"""
        );
        BambaFormatException error = Assert.Throws<BambaFormatException>(() =>
            BambaExporter.Export(checkpoint, folder["model"], new ExportOptions())
        );
        Assert.Contains("model-00001-of-00002.safetensors", error.Message);
        Assert.False(Directory.Exists(folder["model"]));
    }
}
