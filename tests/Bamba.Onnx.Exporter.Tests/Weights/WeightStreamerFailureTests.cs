using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Weights;

namespace Bamba.Onnx.Exporter.Tests.Weights;

public sealed class WeightStreamerFailureTests : IDisposable
{
    private readonly StreamFixture fixture = new(ElementType.Float32);

    public void Dispose() => fixture.Dispose();

    [Fact]
    public void Cancellation_stops_between_tiles_and_leaves_no_open_handle()
    {
        WeightPlan plan = MatrixPlan(ElementType.Float16);
        foreach (WeightStage stage in (WeightStage[])[WeightStage.Writing, WeightStage.Hashing])
        {
            using var cancellation = new CancellationTokenSource();
            var tiles = new List<WeightProgress>();

            var error = Assert.ThrowsAny<OperationCanceledException>(() =>
                WriteCancellable(
                    plan,
                    new Recorder(progress =>
                    {
                        if (progress.Stage == stage)
                        {
                            cancellation.Cancel();
                            tiles.Add(progress);
                        }
                    }),
                    cancellation.Token
                )
            );

            Assert.Equal(cancellation.Token, error.CancellationToken);
            // The other thread may have been in the middle of a tile.
            Assert.InRange(tiles.Count, 1, StreamFixture.SmallTiles.Threads);
            AssertClosed();
        }
    }

    [Fact]
    public void Cancellation_beforehand_makes_no_file()
    {
        Assert.ThrowsAny<OperationCanceledException>(() =>
            WriteCancellable(MatrixPlan(ElementType.Float32), null, new CancellationToken(canceled: true))
        );

        Assert.False(File.Exists(fixture.OutputPath));
    }

    [Theory]
    [InlineData(ElementType.Float16, "1000000 does not fit f16, whose largest value is 65504; choose bf16 or f32")]
    [InlineData(
        ElementType.BFloat16,
        "3.4028235E+38 does not fit bf16, whose largest value is 3.3895314E+38; choose f32"
    )]
    public void A_value_that_would_become_infinite_is_named(ElementType type, string problem)
    {
        float value = type == ElementType.Float16 ? 1e6f : float.MaxValue;
        using var checkpoint = OverflowingCheckpoint(value, row: 20, column: 30);
        foreach (bool isTransposed in (bool[])[false, true])
        {
            var plan = new WeightPlan();
            plan.Add(
                "w",
                type,
                [37, 37],
                isTransposed ? WeightSource.TransposeOf("model.w") : WeightSource.CopyOf("model.w")
            );

            var error = Assert.Throws<BambaFormatException>(() => Write(checkpoint, plan, fixture.OutputPath));

            Assert.Equal(
                $"{checkpoint.Tensors["model.w"].File}: tensor model.w, element [20, 30]: {problem}",
                error.Message
            );
            AssertClosed();
        }
    }

    [Fact]
    public void A_value_that_would_become_infinite_is_named_by_its_place_in_its_own_tensor()
    {
        using var checkpoint = OverflowingCheckpoint(1e6f, row: 20, column: 30);
        var plan = new WeightPlan();
        plan.Add("both", ElementType.Float16, [37, 74], WeightSource.TransposeOf("model.v", "model.w"));

        var error = Assert.Throws<BambaFormatException>(() => Write(checkpoint, plan, fixture.OutputPath));

        Assert.Contains(": tensor model.w, element [20, 30]: ", error.Message, StringComparison.Ordinal);
        AssertClosed();
    }

    [Fact]
    public void A_generated_value_that_would_become_infinite_is_named()
    {
        var plan = new WeightPlan();
        plan.Add(
            "table",
            ElementType.Float16,
            [100, 5],
            WeightSource.GeneratedBy((row, values) => values.Fill(row == 60 ? 70000 : 1))
        );

        var error = Assert.Throws<BambaException>(() => fixture.Write(plan));

        Assert.StartsWith("weight table, row 60: 70000 does not fit f16", error.Message, StringComparison.Ordinal);
        AssertClosed();
    }

    [Fact]
    public void An_error_of_a_generator_comes_through_and_closes_the_file()
    {
        WeightPlan plan = MatrixPlan(ElementType.Float32);
        plan.Add(
            "bad",
            ElementType.Float32,
            [1],
            WeightSource.GeneratedBy((_, _) => throw new InvalidOperationException("no such row"))
        );

        var error = Assert.Throws<InvalidOperationException>(() => fixture.Write(plan));

        Assert.Equal("no such row", error.Message);
        AssertClosed();
    }

    public static TheoryData<WeightSource, ElementType, long[], string> BadEntries =>
        new()
        {
            { WeightSource.CopyOf("model.x"), ElementType.Float32, [1], "has no tensor model.x" },
            {
                WeightSource.CopyOf("model.vector"),
                ElementType.Float32,
                [128],
                "expected 128 elements for [128], found 129"
            },
            { WeightSource.CopyOf("model.vector"), ElementType.Int32, [129], "f32, which does not convert to i32" },
            {
                WeightSource.TransposeOf("model.vector"),
                ElementType.Float32,
                [1, 129],
                "expected tensor model.vector to be [rows, 1], found [129]"
            },
            {
                WeightSource.TransposeOf("model.matrix"),
                ElementType.Float32,
                [1961],
                "expected two axes of a transpose, found [1961]"
            },
            {
                WeightSource.TransposeOf("model.matrix"),
                ElementType.Float32,
                [37, 53],
                "expected tensor model.matrix to be [rows, 37]"
            },
            {
                WeightSource.TransposeOf("model.matrix"),
                ElementType.Float32,
                [53, 38],
                "expected 38 rows to transpose, found 37"
            },
            {
                WeightSource.TransposeOf("model.matrix", "model.stacked"),
                ElementType.Float32,
                [53, 49],
                "expected 49 rows to transpose, found 48"
            },
            {
                WeightSource.TransposeOf("model.matrix", "model.wide"),
                ElementType.Float32,
                [53, 40],
                "expected tensor model.wide to be [rows, 53]"
            },
            {
                WeightSource.TransposeOf("model.matrix", "model.x"),
                ElementType.Float32,
                [53, 48],
                "has no tensor model.x"
            },
            { WeightSource.GeneratedBy((_, _) => { }), ElementType.Int64, [1], "does not convert to i64" },
            {
                WeightSource.GeneratedBy((_, _) => { }),
                ElementType.Float32,
                [65],
                "expected a last axis of at most 64"
            },
        };

    [Theory]
    [MemberData(nameof(BadEntries))]
    public void A_plan_that_does_not_match_the_checkpoint_is_refused_before_a_file_is_made(
        WeightSource source,
        ElementType type,
        long[] shape,
        string problem
    )
    {
        var plan = new WeightPlan();
        plan.Add("w", type, [.. shape], source);

        var error = Assert.Throws<ArgumentException>(() => fixture.Write(plan));

        Assert.StartsWith("weight w: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(fixture.OutputPath));
    }

    [Fact]
    public void A_file_that_exists_is_not_overwritten()
    {
        File.WriteAllText(fixture.OutputPath, "mine");

        Assert.Throws<IOException>(() => fixture.Write(MatrixPlan(ElementType.Float32)));

        Assert.Equal("mine", File.ReadAllText(fixture.OutputPath));
    }

    [Fact]
    public void A_disk_without_room_is_an_error_before_anything_is_written()
    {
        using SmallDisk disk = SmallDisk.MountOrSkip("size=64k");
        var plan = new WeightPlan();
        plan.Add("big", ElementType.Float32, [10_000, 50], WeightSource.GeneratedBy((_, _) => Assert.Fail("written")));

        Assert.Throws<IOException>(() => Write(fixture.Checkpoint, plan, disk["out.data"]));

        Assert.Empty(Directory.GetFiles(disk.Path));
    }

    [Fact]
    public void A_read_only_target_is_an_error()
    {
        using SmallDisk disk = SmallDisk.MountOrSkip("size=64k,ro");

        Assert.Throws<IOException>(() => Write(fixture.Checkpoint, MatrixPlan(ElementType.Float32), disk["out.data"]));
    }

    private static WeightPlan MatrixPlan(ElementType type)
    {
        var plan = new WeightPlan();
        foreach ((string name, ImmutableArray<long> shape) in StreamFixture.Shapes.Where(t => t.Value.Length == 2))
        {
            plan.Add($"{name}.copy", type, shape, WeightSource.CopyOf($"model.{name}"));
            plan.Add($"{name}.t", type, [shape[1], shape[0]], WeightSource.TransposeOf($"model.{name}"));
        }
        return plan;
    }

    private CheckpointFolder OverflowingCheckpoint(float value, int row, int column)
    {
        string folder = Path.Combine(fixture.Folder, "overflowing");
        Directory.CreateDirectory(folder);
        File.Copy(fixture.Checkpoint.ConfigPath, Path.Combine(folder, ModelFiles.Config));
        var values = new float[37 * 37];
        values[(row * 37) + column] = value;
        using (
            SafetensorsWriter writer = SafetensorsWriter.Create(
                Path.Combine(folder, ModelFiles.Checkpoint),
                [("model.w", ElementType.Float32, [37, 37]), ("model.v", ElementType.Float32, [37, 37])]
            )
        )
        {
            writer.Write(
                writer.Tensors.Single(tensor => tensor.Name == "model.w"),
                0,
                MemoryMarshal.AsBytes(values.AsSpan())
            );
        }
        return CheckpointFolder.Open(folder);
    }

    private static void Write(CheckpointFolder checkpoint, WeightPlan plan, string path) =>
        WeightStreamer.Write(
            checkpoint,
            plan,
            path,
            StreamFixture.SmallTiles,
            cancellation: TestContext.Current.CancellationToken
        );

    private void WriteCancellable(
        WeightPlan plan,
        IProgress<WeightProgress>? progress,
        CancellationToken cancellation
    ) =>
        WeightStreamer.Write(
            fixture.Checkpoint,
            plan,
            fixture.OutputPath,
            StreamFixture.SmallTiles,
            record: null,
            progress,
            cancellation
        );

    /// <summary>Nothing holds the file open: it can be had for oneself alone, and goes away.</summary>
    private void AssertClosed()
    {
        using (new FileStream(fixture.OutputPath, FileMode.Open, FileAccess.ReadWrite, FileShare.None)) { }
        File.Delete(fixture.OutputPath);
    }

    private sealed class Recorder(Action<WeightProgress> action) : IProgress<WeightProgress>
    {
        public void Report(WeightProgress value) => action(value);
    }
}
