using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests;

/// <summary>Exports that find weights which another has finished: of a process that was killed, or in the target.</summary>
public sealed class ResumedExportTests : IDisposable
{
    private static readonly ExportOptions Options = new()
    {
        Quantization = QuantizationOptions.Of(
            new WeightQuantization
            {
                Bits = 4,
                GroupSize = 32,
                ZeroPoints = ZeroPoints.Integer,
            }
        ),
        MaxShardBytes = 150_000,
    };

    private readonly TemporaryFolder folder = new();

    private string Target => folder["model"];

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(9)]
    public void What_a_killed_export_finished_is_not_written_again(int least)
    {
        string left = Kill(least);
        int finished = FinishedIn(left);
        DateTime[] written = TimesOf(left, finished);

        BytesOf told = Export();

        Assert.Equal([Target], Directory.GetDirectories(folder.Path));
        Assert.Equal(written, TimesOf(Target, finished));
        AssertWhole();
        long taken = Enumerable.Range(0, finished).Sum(shard => new FileInfo(Shard(Target, shard)).Length);
        Assert.Equal(ModelManifest.Load(Target).WeightBytes - taken, told.Of(ExportStage.Hashing));
    }

    [Fact]
    public void A_damaged_file_is_written_again_and_others_are_not()
    {
        string left = Kill(5);
        Damage(Shard(left, 2));
        DateTime[] written = TimesOf(left, 5);

        Export();

        DateTime[] found = TimesOf(Target, 5);
        Assert.Equal([false, false, true, false, false], written.Zip(found, (before, after) => before != after));
        AssertWhole();
    }

    [Fact]
    public void Another_checkpoint_is_written_as_a_whole()
    {
        using var checkpoint = new TemporaryFolder();
        CopyFolder(TestData.TinyShakespeare, checkpoint.Path);
        // Which is in the first file.
        FlipByteOf(checkpoint[ModelFiles.Checkpoint], "model.embed_tokens.weight");
        string left = Kill(5);
        DateTime[] written = TimesOf(left, 5);

        BambaExporter.Export(checkpoint.Path, Target, Options);

        Assert.DoesNotContain(TimesOf(Target, 5), written.Contains);
        string other = folder["other"];
        BambaExporter.Export(checkpoint.Path, other, Options);
        AssertSame(other, Target);
    }

    [Fact]
    public void Other_options_are_written_as_a_whole_and_what_is_left_goes()
    {
        Kill(5);
        BambaExporter.Export(TestData.TinyShakespeare, Target, new ExportOptions());
        Assert.Equal([Target], Directory.GetDirectories(folder.Path));
        AssertSame(ExportedModels.Of(TestData.TinyShakespeare), Target);
    }

    [Fact]
    public void Folders_that_are_in_use_or_of_other_targets_stay()
    {
        string left = Kill(3);
        string other = $"{Target}.v2.{Guid.NewGuid():N}.tmp";
        CopyFolder(left, other);
        using (
            new FileStream(
                Path.Combine(left, StagingFolder.LockFile),
                FileMode.Open,
                FileAccess.ReadWrite,
                FileShare.None
            )
        )
        {
            Export();
        }
        Assert.Equal(new[] { Target, left, other }.Order(), Directory.GetDirectories(folder.Path).Order());
        AssertWhole();
    }

    [Fact]
    public void The_same_export_again_checks_what_there_is_and_writes_what_is_damaged()
    {
        Export();
        Damage(Shard(Target, 1));
        BytesOf told = Export();
        Assert.Equal(new FileInfo(Shard(Target, 1)).Length, told.Of(ExportStage.Hashing));
        AssertWhole();

        BytesOf again = Export();
        Assert.Equal(0, again.Of(ExportStage.Writing) + again.Of(ExportStage.Hashing));
        Assert.True(again.Of(ExportStage.Checking) > ModelManifest.Load(Target).WeightBytes);
        AssertWhole();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Parts_that_are_made_together_are_written_again_one_by_one(int first)
    {
        // Scales, zero points and codes of a matrix have files of their own.
        ExportOptions options = Options with
        {
            MaxShardBytes = 1,
        };
        BambaExporter.Export(TestData.TinyShakespeare, Target, options);
        ModelManifest manifest = ModelManifest.Load(Target);
        int files = manifest.Files.Count(file => manifest.Layout.IsWeights(file.Name));
        int[] damaged = [.. Enumerable.Range(0, files).Where(file => file % 3 == first)];
        Array.ForEach(damaged, file => Damage(Shard(Target, file)));

        var told = new BytesOf();
        BambaExporter.Export(TestData.TinyShakespeare, Target, options, told);

        AssertSame(ExportedModels.Of(TestData.TinyShakespeare, options), Target);
        long written = damaged.Sum(file => new FileInfo(Shard(Target, file)).Length);
        Assert.Equal((written, written), (told.Of(ExportStage.Writing), told.Of(ExportStage.Hashing)));
    }

    [Fact]
    public void An_export_cancelled_while_it_checks_leaves_the_target_as_it_was()
    {
        Export();
        using var cancellation = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            BambaExporter.Export(
                TestData.TinyShakespeare,
                Target,
                Options,
                new WhenChecking(cancellation),
                cancellation.Token
            )
        );
        Assert.Equal([Target], Directory.GetDirectories(folder.Path));
        AssertWhole();
    }

    [Fact]
    public void A_damaged_note_is_none()
    {
        string left = Kill(3);
        File.WriteAllText(Path.Combine(left, FinishedWeights.FileName), "{\"recipe\": 3");
        Export();
        Assert.Equal([Target], Directory.GetDirectories(folder.Path));
        AssertWhole();
    }

    private BytesOf Export()
    {
        var told = new BytesOf();
        BambaExporter.Export(TestData.TinyShakespeare, Target, Options, told);
        return told;
    }

    /// <summary>What is on the disk when a process that has finished some files goes away.</summary>
    private string Kill(int finished)
    {
        string left = $"{Target}.{Guid.NewGuid():N}.tmp";
        using var cancellation = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() =>
            BambaExporter.Export(
                TestData.TinyShakespeare,
                Target,
                Options,
                new WhenFinished(
                    folder.Path,
                    finished,
                    staging =>
                    {
                        CopyFolder(staging, left);
                        cancellation.Cancel();
                    }
                ),
                cancellation.Token
            )
        );
        Assert.Equal([left], Directory.GetDirectories(folder.Path));
        return left;
    }

    private void AssertWhole() => AssertSame(ExportedModels.Of(TestData.TinyShakespeare, Options), Target);

    private static void AssertSame(string expected, string found)
    {
        IEnumerable<string?> names = Directory.GetFileSystemEntries(expected).Select(Path.GetFileName).Order();
        Assert.Equal(names, Directory.GetFileSystemEntries(found).Select(Path.GetFileName).Order());
        Assert.All(
            names,
            name =>
                Assert.Equal(
                    File.ReadAllBytes(Path.Combine(expected, name!)),
                    File.ReadAllBytes(Path.Combine(found, name!))
                )
        );
    }

    private static int FinishedIn(string staging)
    {
        string note = Path.Combine(staging, FinishedWeights.FileName);
        return File.Exists(note) ? File.ReadAllText(note).Split("\"sha256\"").Length - 1 : 0;
    }

    private static string Shard(string model, int shard) =>
        Path.Combine(model, ModelFiles.Shard(ModelFiles.Weights, shard));

    private static DateTime[] TimesOf(string model, int shards) =>
        [.. Enumerable.Range(0, shards).Select(shard => File.GetLastWriteTimeUtc(Shard(model, shard)))];

    private static void Damage(string file) => FlipByte(file, new FileInfo(file).Length / 2);

    private static void FlipByte(string file, long position)
    {
        DateTime time = File.GetLastWriteTimeUtc(file);
        byte[] bytes = File.ReadAllBytes(file);
        bytes[position] ^= 1;
        File.WriteAllBytes(file, bytes);
        File.SetLastWriteTimeUtc(file, time);
    }

    private static void FlipByteOf(string checkpoint, string tensor)
    {
        byte[] bytes = File.ReadAllBytes(checkpoint);
        int header = (int)BitConverter.ToInt64(bytes);
        using var json = JsonDocument.Parse(bytes.AsMemory(sizeof(long), header));
        long start = json.RootElement.GetProperty(tensor).GetProperty("data_offsets")[0].GetInt64();
        FlipByte(checkpoint, sizeof(long) + header + start);
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from))
        {
            string copy = Path.Combine(to, Path.GetFileName(file));
            if (Path.GetFileName(file) == StagingFolder.LockFile)
            {
                // Empty, and not to be read while it is held.
                File.Create(copy).Dispose();
            }
            else
            {
                File.Copy(file, copy);
            }
        }
    }

    /// <summary>Calls once, with the temporary folder, when so many files are finished and the next is begun.</summary>
    private sealed class WhenFinished(string parent, int files, Action<string> action) : IProgress<ExportProgress>
    {
        private bool called;

        public void Report(ExportProgress value)
        {
            if (called || value.Stage != ExportStage.Writing)
            {
                return;
            }
            string staging = Directory
                .GetDirectories(parent)
                .Single(path => path.EndsWith(".tmp", StringComparison.Ordinal));
            if (FinishedIn(staging) >= files)
            {
                called = true;
                action(staging);
            }
        }
    }

    private sealed class WhenChecking(CancellationTokenSource cancellation) : IProgress<ExportProgress>
    {
        public void Report(ExportProgress value)
        {
            if (value.Stage == ExportStage.Checking)
            {
                cancellation.Cancel();
            }
        }
    }

    /// <summary>The most bytes that each stage told of.</summary>
    private sealed class BytesOf : IProgress<ExportProgress>
    {
        private readonly Dictionary<ExportStage, long> bytes = [];

        public long Of(ExportStage stage) => bytes.GetValueOrDefault(stage);

        public void Report(ExportProgress value) => bytes[value.Stage] = Math.Max(Of(value.Stage), value.DoneBytes);
    }
}
