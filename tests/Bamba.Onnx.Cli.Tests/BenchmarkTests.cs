using System.Globalization;
using Bamba.Onnx.Cli.Benchmarking;
using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class BenchmarkTests
{
    private static readonly BenchmarkTest Prefill = new(BenchmarkKind.Prefill, 512, 1, 0);

    [Fact]
    public void Tests_are_named_like_those_of_llama_bench()
    {
        Assert.Equal("pp512", Prefill.Name);
        Assert.Equal("tg128 @ d1024", new BenchmarkTest(BenchmarkKind.Decode, 128, 2, 1024).Name);
    }

    [Fact]
    public void Every_combination_is_a_test_and_prompts_come_before_generations()
    {
        IReadOnlyList<BenchmarkTest> tests = BenchmarkTest.Combine([128, 512], [16], [1, 2], [0, 64]);
        Assert.Equal(12, tests.Count);
        Assert.Equal(
            ["pp128", "pp512", "tg16", "pp128 @ d64", "pp512 @ d64", "tg16 @ d64"],
            tests.Take(6).Select(test => test.Name)
        );
        Assert.Equal([1, 2], tests.Chunk(6).Select(half => half.Select(test => test.Batch).Distinct().Single()));
    }

    [Fact]
    public void A_length_of_zero_leaves_a_kind_out_and_two_leave_nothing()
    {
        Assert.Equal(["tg4"], BenchmarkTest.Combine([0], [4], [1], [0]).Select(test => test.Name));
        Assert.Equal(["pp4"], BenchmarkTest.Combine([4], [0], [1], [0]).Select(test => test.Name));
        Assert.Throws<ArgumentException>(() => BenchmarkTest.Combine([0], [0], [1], [0]));
    }

    [Fact]
    public void A_test_may_fill_the_context_and_not_one_token_more()
    {
        BenchmarkTest[] tests = [Prefill, new(BenchmarkKind.Decode, 24, 1, 1000)];
        BenchmarkTest.RequireRoom(tests, 1024);
        var error = Assert.Throws<BambaException>(() => BenchmarkTest.RequireRoom(tests, 1023));
        Assert.Contains("tg24 @ d1000: expected at most 1023 tokens", error.Message);
        Assert.Contains("found 1024", error.Message);
    }

    [Fact]
    public void Speed_counts_the_tokens_of_all_rows_and_deviates_as_a_sample()
    {
        var test = new BenchmarkTest(BenchmarkKind.Prefill, 100, 2, 50);
        var result = new BenchmarkResult(test, [1_000_000_000, 500_000_000], 0);
        Assert.Equal([200.0, 400.0], result.TokensPerSecond);
        Assert.Equal(300, result.MeanTokensPerSecond);
        Assert.Equal(Math.Sqrt(20_000), result.TokensPerSecondDeviation, 1e-9);
        Assert.Equal(750_000_000, result.MeanNanoseconds);
        Assert.Equal(500_000_000 / Math.Sqrt(2), result.NanosecondsDeviation, 1e-3);
    }

    [Fact]
    public void One_repetition_has_no_deviation() =>
        Assert.Equal(0, new BenchmarkResult(Prefill, [5], 0).TokensPerSecondDeviation);

    [Fact]
    public void Rows_of_the_table_line_up_whatever_their_test()
    {
        BenchmarkTest[] tests = [Prefill, new(BenchmarkKind.Decode, 128, 16, 100_000)];
        var model = new BenchmarkedModel
        {
            Name = "big",
            Folder = "/models/big",
            Bytes = 3L << 29,
            Parameters = 9_780_235_392,
            Dtype = "f16",
            Provider = "CPU",
            Device = null,
            StepWeights = new StepWeights(3L << 29, 0),
            CopySpeed = null,
            Scan = ScanImplementation.FunctionBody,
            Threads = 8,
            LoadMilliseconds = 1,
            Caches = new CacheSizes(1_234_567, 89),
        };
        var output = new StringWriter { NewLine = "\n" };
        var table = new BenchmarkTable(output, model, tests);
        table.WriteHead();
        table.WriteRow(new BenchmarkResult(tests[0], [50_000_000, 60_000_000], 0));
        table.WriteRow(new BenchmarkResult(tests[1], [1_000_000_000], 0));
        table.WriteFoot(new Machine("A processor", 1, "An OS"), new ProductVersions("1.2.3+abc", "4.5", "6.7"), []);
        string[] lines = output.ToString().Split('\n');
        Assert.Single(lines.Take(4).Select(line => line.Length).Distinct());
        Assert.Matches(@"^\|( -+[-:] \|){10}$", lines[1]);
        Assert.StartsWith(
            "| big   | 1.50 GiB | 9.78 B | f16   | CPU      | function body |       8 |     1 |",
            lines[2]
        );
        Assert.EndsWith("|           pp512 |  9386.67 ± 1206.80 |", lines[2]);
        Assert.EndsWith("|    16 | tg128 @ d100000 |     2048.00 ± 0.00 |", lines[3]);
        Assert.Equal("A processor, 1 core, An OS; bamba-onnx 1.2.3, ONNX Runtime 4.5, .NET 6.7.", lines[5]);
        Assert.Equal("A sequence's state takes 1,234,567 bytes, and 89 bytes a token.", lines[7]);
    }

    [Theory]
    [InlineData("base", null)]
    [InlineData("base", 8)]
    [InlineData("base", 4)]
    [InlineData("two-groups", null)]
    [InlineData("two-groups", 8)]
    [InlineData("two-groups", 4)]
    public void A_step_reads_every_matrix_once_and_one_row_of_what_is_looked_up(string checkpoint, int? bits)
    {
        string folder = ExportedModels.Of(
            TestData.Case(checkpoint),
            new ExportOptions { Quantization = FewBits.Of(bits) }
        );
        var config = BambaConfig.Load(Path.Combine(folder, "config.json"));
        long row = bits is { } few
            ? (config.HiddenSize * few / 8) + (config.HiddenSize / 32 * sizeof(float))
            : config.HiddenSize * sizeof(float);
        long angles = 2L * config.Rope.RotaryDim / 2 * sizeof(float);
        long rotary = angles * config.MaxPositionEmbeddings;
        long stored = ModelInspection.Of(folder, CustomOps.Off).WeightBytes.Values.Sum();
        bool isTied = config.TieWordEmbeddings;
        Assert.Equal(checkpoint == "two-groups", isTied);
        Assert.Equal(
            new StepWeights(stored - rotary - (isTied ? 0 : row * config.VocabSize), angles + (isTied ? 0 : row)),
            StepWeights.Of(ModelInspection.ReadGraph(Path.Combine(folder, "runtime.onnx")))
        );
    }

    [Theory]
    [InlineData("base", null)]
    [InlineData("base", 4)]
    [InlineData("two-groups", null)]
    [InlineData("two-groups", 8)]
    [InlineData("two-groups", 4)]
    public void Inspect_counts_stored_bytes_once(string checkpoint, int? bits)
    {
        string folder = ExportedModels.Of(
            TestData.Case(checkpoint),
            new ExportOptions { Quantization = FewBits.Of(bits) }
        );
        bool[] referred = new bool[new FileInfo(Path.Combine(folder, "model.onnx.data")).Length];
        foreach (
            TensorProto tensor in ModelInspection
                .ReadGraphs(folder, ModelManifest.Load(folder).Layout)
                .Values.SelectMany(graph => graph.Graph.Initializer)
        )
        {
            referred.AsSpan(NumberOf(tensor, "offset"), NumberOf(tensor, "length")).Fill(true);
        }
        Assert.Equal(
            referred.Count(isReferred => isReferred),
            ModelInspection.Of(folder, CustomOps.Off).WeightBytes.Values.Sum()
        );

        static int NumberOf(TensorProto tensor, string key) =>
            int.Parse(tensor.ExternalData.Single(entry => entry.Key == key).Value, CultureInfo.InvariantCulture);
    }

    [Fact]
    public void The_processor_has_the_name_that_the_list_gives_it()
    {
        string[] list =
        [
            .. from thread in Enumerable.Range(0, 8)
            from line in (string[])["model name\t: Some CPU @ 3: 1", $"core id\t\t: {thread}", ""]
            select line,
        ];
        Assert.Equal("Some CPU @ 3: 1", Machine.CpuName(list));
        Assert.Null(Machine.CpuName(["processor : 0"]));
    }
}
