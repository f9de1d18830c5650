using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Tests.Checkpoint;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.SyntheticCheckpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Weights;

public sealed class WeightStreamerTests
{
    private static readonly ElementType[] Floats = [ElementType.Float32, ElementType.Float16, ElementType.BFloat16];

    public static TheoryData<ElementType, ElementType, bool> Conversions =>
        [.. from @from in Floats from to in Floats from small in (bool[])[false, true] select (@from, to, small)];

    [Theory]
    [MemberData(nameof(Conversions))]
    public void Copies_hold_the_converted_values(ElementType from, ElementType to, bool smallTiles)
    {
        using var fixture = new StreamFixture(from);
        var plan = new WeightPlan();
        foreach ((string name, ImmutableArray<long> shape) in StreamFixture.Shapes)
        {
            plan.Add($"{name}.copy", to, shape, WeightSource.CopyOf($"model.{name}"));
        }

        fixture.Write(plan, smallTiles);

        foreach (WeightEntry entry in plan.Entries)
        {
            string source = $"model.{Path.GetFileNameWithoutExtension(entry.Name)}";
            Assert.Equal(fixture.Values(source, to), fixture.Written(entry));
        }
    }

    [Theory]
    [MemberData(nameof(Conversions))]
    public void Transposes_hold_the_converted_values_at_their_mirrored_places(
        ElementType from,
        ElementType to,
        bool smallTiles
    )
    {
        using var fixture = new StreamFixture(from);
        var plan = new WeightPlan();
        foreach ((string name, ImmutableArray<long> shape) in StreamFixture.Shapes.Where(t => t.Value.Length == 2))
        {
            plan.Add($"{name}.transposed", to, [shape[1], shape[0]], WeightSource.TransposeOf($"model.{name}"));
        }

        fixture.Write(plan, smallTiles);

        foreach (WeightEntry entry in plan.Entries)
        {
            byte[] source = fixture.Values($"model.{Path.GetFileNameWithoutExtension(entry.Name)}", to);
            Assert.Equal(StreamFixture.Transposed(source, entry.Shape[0], to.SizeInBytes()), fixture.Written(entry));
        }
    }

    [Theory]
    [MemberData(nameof(Conversions))]
    public void Several_tensors_lie_one_behind_another_and_their_transposes_side_by_side(
        ElementType from,
        ElementType to,
        bool smallTiles
    )
    {
        using var fixture = new StreamFixture(from);
        var plan = new WeightPlan();
        // The last is wider than a small tile, so that it goes by parts of rows.
        ImmutableArray<string>[] groups =
        [
            ["model.matrix", "model.empty", "model.stacked"],
            ["model.stacked", "model.matrix", "model.stacked"],
            ["model.column"],
            ["model.wide", "model.wide"],
        ];
        for (int i = 0; i < groups.Length; i++)
        {
            long rows = groups[i].Sum(name => fixture.Checkpoint.Tensors[name].Shape[0]);
            long columns = fixture.Checkpoint.Tensors[groups[i][0]].Shape[1];
            plan.Add($"{i}.copy", to, [rows, columns], WeightSource.CopyOf(groups[i]));
            plan.Add($"{i}.transposed", to, [columns, rows], WeightSource.TransposeOf(groups[i]));
        }

        fixture.Write(plan, smallTiles);

        for (int i = 0; i < groups.Length; i++)
        {
            byte[] rows = [.. groups[i].SelectMany(name => fixture.Values(name, to))];
            WeightEntry transposed = plan.Entries[(2 * i) + 1];
            Assert.Equal(rows, fixture.Written(plan.Entries[2 * i]));
            Assert.Equal(
                StreamFixture.Transposed(rows, transposed.Shape[0], to.SizeInBytes()),
                fixture.Written(transposed)
            );
        }
    }

    [Theory]
    [InlineData(ElementType.Float32)]
    [InlineData(ElementType.Float16)]
    [InlineData(ElementType.BFloat16)]
    public void Generated_rows_are_asked_for_once_each_and_converted(ElementType type)
    {
        using var fixture = new StreamFixture();
        var asked = new List<long>();
        var plan = new WeightPlan();
        WeightEntry table = plan.Add(
            "table",
            type,
            [5, 9, 7],
            WeightSource.GeneratedBy(
                (row, values) =>
                {
                    asked.Add(row);
                    for (int i = 0; i < values.Length; i++)
                    {
                        values[i] = (row * 100) + i;
                    }
                }
            )
        );
        WeightEntry scalar = plan.Add("scalar", type, [], WeightSource.GeneratedBy((_, values) => values.Fill(3)));
        plan.Add("none", type, [4, 0], WeightSource.GeneratedBy((_, _) => Assert.Fail("asked for an empty row")));

        fixture.Write(plan, smallTiles: true);

        Assert.Equal(Enumerable.Range(0, 45).Select(row => (long)row), asked);
        float[] expected =
        [
            .. from row in Enumerable.Range(0, 45) from i in Enumerable.Range(0, 7) select (row * 100f) + i,
        ];
        Assert.Equal(Bytes(expected, type), fixture.Written(table));
        Assert.Equal(Bytes([3], type), fixture.Written(scalar));
    }

    [Fact]
    public void Integers_are_copied_and_transposed_as_they_are()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(TestData.Case("base"), ModelFiles.Config), folder[ModelFiles.Config]);
        RawSafetensors.Write(
            folder[ModelFiles.Checkpoint],
            ("model.wide", ElementType.Int64, [5, 7]),
            ("model.narrow", ElementType.Int32, [6, 5])
        );
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder.Path);
        var plan = new WeightPlan();
        plan.Add("wide", ElementType.Int64, [7, 5], WeightSource.TransposeOf("model.wide"));
        WeightEntry narrow = plan.Add("narrow", ElementType.Int32, [30], WeightSource.CopyOf("model.narrow"));

        Write(checkpoint, plan, folder["out.data"]);

        byte[] file = File.ReadAllBytes(folder["out.data"]);
        Assert.Equal(StreamFixture.Transposed(RawSafetensors.Counting(280), 7, sizeof(long)), file[..280]);
        Assert.Equal(RawSafetensors.Counting(120), file[(int)narrow.Offset..]);
    }

    [Fact]
    public void Bytes_between_entries_are_zero()
    {
        using var fixture = new StreamFixture(ElementType.Float32);
        var plan = new WeightPlan();
        plan.Add("small", ElementType.Float32, [129], WeightSource.CopyOf("model.vector"));
        WeightEntry page = plan.Add("page", ElementType.Float32, [37, 53], WeightSource.CopyOf("model.matrix"));

        fixture.Write(plan, smallTiles: false);

        byte[] gap = File.ReadAllBytes(fixture.OutputPath)[516..(int)page.Offset];
        Assert.Equal(4096, page.Offset);
        Assert.All(gap, value => Assert.Equal(0, value));
    }

    [Fact]
    public void The_file_hash_is_that_of_the_file_and_the_source_hash_that_of_its_definition()
    {
        using var fixture = new StreamFixture();
        var plan = new WeightPlan();
        plan.Add("a", ElementType.Float32, [53, 37], WeightSource.TransposeOf("model.matrix"));
        plan.Add("b", ElementType.Float32, [53, 48], WeightSource.TransposeOf("model.matrix", "model.stacked"));

        WeightResult result = fixture.Write(plan, smallTiles: true);

        byte[] file = File.ReadAllBytes(fixture.OutputPath);
        ManifestFile told = Assert.Single(result.Files);
        Assert.Equal(file.Length, told.Bytes);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(file)), told.Sha256);
        var lines = new StringBuilder($"{Sha256(File.ReadAllBytes(fixture.Checkpoint.ConfigPath))} config.json\n");
        foreach (
            CheckpointTensor tensor in fixture.Checkpoint.Tensors.Values.OrderBy(t => t.Name, StringComparer.Ordinal)
        )
        {
            string digest = Sha256(fixture.Values(tensor.Name, tensor.Type));
            lines.Append($"{digest} bf16 [{string.Join(", ", tensor.Shape)}] {tensor.Name}\n");
        }
        Assert.Equal(Sha256(Encoding.UTF8.GetBytes(lines.ToString())), result.SourceSha256);
    }

    [Fact]
    public void The_source_hash_depends_on_neither_the_plan_nor_the_shards()
    {
        using var folder = new TemporaryFolder();
        string[] hashes =
        [
            .. ((long[])[20_000_000, 2_000_000]).Select(
                (shardBytes, i) =>
                {
                    string source = folder[$"{i}"];
                    SyntheticCheckpointWriter.Write(
                        source,
                        File.ReadAllBytes(TestData.Bamba9BConfig),
                        new() { Bytes = 12_000_000, MaxShardBytes = shardBytes }
                    );
                    using CheckpointFolder checkpoint = CheckpointFolder.Open(source);
                    var plan = new WeightPlan();
                    ImmutableArray<long> shape = checkpoint.Tensors[BambaTensors.Embedding].Shape;
                    if (i == 1)
                    {
                        // A tensor that two entries read counts once.
                        plan.Add("table", ElementType.Float32, shape, WeightSource.CopyOf(BambaTensors.Embedding));
                        plan.Add(
                            "head",
                            ElementType.Float32,
                            [shape[1], shape[0]],
                            WeightSource.TransposeOf(BambaTensors.Embedding)
                        );
                        plan.Add(
                            "both",
                            ElementType.BFloat16,
                            [shape[1], 2 * shape[0]],
                            WeightSource.TransposeOf(BambaTensors.Embedding, BambaTensors.Embedding)
                        );
                    }
                    return Write(checkpoint, plan, folder[$"{i}.data"]).SourceSha256;
                }
            ),
        ];

        Assert.Equal(hashes[0], hashes[1]);
    }

    [Fact]
    public void Progress_rises_to_the_whole_of_each_stage()
    {
        using var fixture = new StreamFixture();
        var plan = new WeightPlan();
        plan.Add("a", ElementType.Float32, [37, 53], WeightSource.CopyOf("model.matrix"));
        plan.Add("b", ElementType.Float32, [53, 48], WeightSource.TransposeOf("model.matrix", "model.stacked"));
        var reports = new List<WeightProgress>();

        fixture.Write(plan, progress: new Recorder(reports));

        foreach (WeightStage stage in (WeightStage[])[WeightStage.Writing, WeightStage.Hashing])
        {
            WeightProgress[] ofStage = [.. reports.Where(report => report.Stage == stage)];
            Assert.Equal(ofStage.OrderBy(report => report.BytesDone), ofStage);
            Assert.Equal(ofStage[^1].BytesTotal, ofStage[^1].BytesDone);
        }
        Assert.Equal((37 + 48) * 53 * 4, reports.First().BytesTotal);
        Assert.Equal(plan.FileBytes, reports.Last().BytesDone);
    }

    [Fact]
    public void An_empty_plan_writes_an_empty_file()
    {
        using var fixture = new StreamFixture();

        WeightResult result = fixture.Write(new WeightPlan());

        ManifestFile file = Assert.Single(result.Files);
        Assert.Equal(0, file.Bytes);
        Assert.Equal(Sha256([]), file.Sha256);
    }

    private static WeightResult Write(CheckpointFolder checkpoint, WeightPlan plan, string path) =>
        WeightStreamer.Write(checkpoint, plan, path, cancellation: TestContext.Current.CancellationToken);

    private static byte[] Bytes(float[] values, ElementType type) =>
        StreamFixture.Convert(MemoryMarshal.AsBytes(values.AsSpan()), ElementType.Float32, type);

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private sealed class Recorder(List<WeightProgress> reports) : IProgress<WeightProgress>
    {
        public void Report(WeightProgress value) => reports.Add(value);
    }
}
