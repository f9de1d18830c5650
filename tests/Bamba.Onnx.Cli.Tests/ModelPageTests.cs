using System.Globalization;
using System.Text.RegularExpressions;
using AngleSharp.Dom;
using AngleSharp.Html.Dom;
using AngleSharp.Html.Parser;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed partial class ModelPageTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task The_page_is_right_HTML_with_every_layer_in_order()
    {
        string model = ExportedModels.Of(
            Path.GetDirectoryName(TestData.Bamba9BConfig)!,
            new ExportOptions { Weights = false }
        );
        IHtmlDocument page = await Page(model);
        IElement[] rows = [.. page.QuerySelectorAll("tr[data-layer]")];
        Assert.Equal(
            Enumerable.Range(0, 32),
            rows.Select(row => int.Parse(row.GetAttribute("data-layer")!, CultureInfo.InvariantCulture))
        );
        Assert.Equal(
            BambaConfig
                .Load(TestData.Bamba9BConfig)
                .Layers.Select(kind => kind == LayerKind.Mamba ? "Mamba-2" : "attention"),
            rows.Select(row => row.Children[1].TextContent)
        );
        Assert.Equal(32, page.QuerySelectorAll("ol.chain li").Length);
    }

    [Fact]
    public async Task The_page_asks_for_nothing_from_elsewhere_and_runs_nothing()
    {
        string model = ExportedModels.Of(TestData.TinyShakespeare);
        IHtmlDocument page = await Page(model);
        Assert.Empty(page.QuerySelectorAll("script, link, img, iframe, object, embed, use, image"));
        Assert.DoesNotContain(
            page.All.SelectMany(element => element.Attributes),
            attribute =>
                attribute.Name is "src" or "href" or "srcset" or "action" or "data"
                || attribute.Name.StartsWith("on", StringComparison.Ordinal)
        );
        string text = File.ReadAllText(folder["page.html"]);
        Assert.DoesNotMatch("(?i)https?:|url\\(|@import", text);
        Assert.Contains("default-src 'none'", page.QuerySelector("meta[http-equiv]")!.GetAttribute("content"));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(4)]
    public async Task Bytes_agree_with_what_inspect_prints(int? bits)
    {
        string model = ExportedModels.Of(
            TestData.TinyShakespeare,
            new ExportOptions { Quantization = FewBits.Of(bits) }
        );
        IHtmlDocument page = await Page(model);
        string printed = (await CliRun.Of("inspect", model)).Out;
        Assert.Contains(Line(printed, "caches"), Section(page, "States").TextContent);

        IElement weights = Section(page, "Weights");
        Dictionary<string, long> types = BytesOfType()
            .Matches(Line(printed, "weights"))
            .ToDictionary(match => match.Groups[2].Value, match => Number(match.Groups[1].Value));
        Assert.NotEmpty(types);
        Assert.All(
            types,
            type =>
                Assert.Contains(
                    $"{type.Value.ToString("N0", CultureInfo.InvariantCulture)} bytes of {type.Key}",
                    weights.TextContent
                )
        );
        // Parts make up the whole, and so do layers with what is outside of them.
        IElement[] parts = [.. weights.QuerySelector("tbody")!.Children];
        Assert.Equal(types.Values.Sum(), parts.Sum(part => Cell(part, 2)));
        long outside = parts
            .Where(part => part.Children[0].TextContent is "embedding" or "head" or "rotary tables")
            .Sum(part => Cell(part, 2));
        long finalNorm = 192 * sizeof(float);
        IElement[] layers = [.. page.QuerySelectorAll("tr[data-layer]")];
        Assert.Equal(types.Values.Sum(), layers.Sum(layer => Cell(layer, 3)) + outside + finalNorm);
        Assert.Equal(bits is null ? 1 : 2, weights.QuerySelectorAll("table").Length);
        if (bits is not null)
        {
            IElement format = weights.QuerySelectorAll("tbody")[1].Children[0];
            Assert.Equal("4 bits, groups of 32", format.Children[0].TextContent);
            Assert.Equal(types["u8"], Cell(format, 2) + Cell(format, 4));
        }
    }

    [Fact]
    public async Task A_trace_of_a_run_tells_where_its_time_went()
    {
        string model = ExportedModels.Of(TestData.TinyShakespeare);
        string trace = folder["trace.json"];
        CliRun run = await CliRun.Of([
            "run",
            model,
            "--prompt",
            "To be",
            "--max-tokens",
            "4",
            "--ops",
            "off",
            "--device",
            "cpu",
            "--trace",
            trace,
        ]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal([trace], Directory.GetFiles(folder.Path));
        IHtmlDocument page = await Page(model, "--trace", trace);

        // The prompt, and each token but the last.
        IElement time = Section(page, "Time by kind of node");
        Assert.StartsWith("4 runs of the model took ", time.QuerySelector("p")!.TextContent);
        Assert.DoesNotContain("launch", time.TextContent);
        string[] kinds = [.. time.QuerySelectorAll("tbody tr").Select(row => row.Children[0].TextContent)];
        Assert.Superset(new HashSet<string> { "MatMul", "Mamba2ChunkScan (function)" }, kinds.ToHashSet());
        double shares = time.QuerySelectorAll("tbody tr").Sum(row => Real(row.Children[4].TextContent.TrimEnd('%')));
        Assert.InRange(shares, 99, 101);
        Assert.All(
            page.QuerySelectorAll("tr[data-layer]"),
            row => Assert.True(Milliseconds(row.Children[^1].TextContent) > 0, row.TextContent)
        );
        double inNodes = Milliseconds(InNodes().Match(time.TextContent).Groups[1].Value);
        double inLayers = page.QuerySelectorAll("tr[data-layer]")
            .Sum(row => Milliseconds(row.Children[^1].TextContent));
        double outside = Milliseconds(Section(page, "Layers").QuerySelectorAll("p")[^1].TextContent.Split(" ms")[0]);
        Assert.Equal(inNodes, inLayers + outside, tolerance: 1);
    }

    [Fact]
    public async Task A_trace_of_a_device_is_drawn_and_says_what_its_times_are()
    {
        File.WriteAllText(folder["trace.json"], RunTraceTests.OfCuda);
        IHtmlDocument page = await Page(ExportedModels.Of(TestData.Case("base")), "--trace", folder["trace.json"]);
        Assert.StartsWith(
            "2 runs of the model took 0.9 ms: 0.2 ms in nodes, 0.7 ms between them; nodes on a device have the time of their launch",
            Section(page, "Time by kind of node").QuerySelector("p")!.TextContent
        );
    }

    [Fact]
    public async Task Bench_writes_a_trace_too()
    {
        string trace = folder["trace.json"];
        string model = ExportedModels.Of(TestData.Case("base"));
        CliRun bench = await CliRun.Of(
            "bench",
            model,
            "-p",
            "4",
            "-n",
            "0",
            "-r",
            "1",
            "--device",
            "cpu",
            "--trace",
            trace
        );
        Assert.Equal((0, ""), (bench.ExitCode, bench.Error));
        Assert.Contains("runs of the model took", (await Page(model, "--trace", trace)).Body!.TextContent);
    }

    [Fact]
    public async Task A_model_that_does_not_load_leaves_no_trace()
    {
        string copy = ExportedModels.CopyOf(TestData.Case("base"));
        try
        {
            var model = new BrokenFolder(copy);
            model.EditGraph("runtime.onnx", graph => graph.Graph.Node[^1].OpType = "NoSuchOperator");
            model.RewriteManifest();
            CliRun run = await CliRun.Of("bench", copy, "--device", "cpu", "--trace", folder["trace.json"]);
            Assert.Equal(3, run.ExitCode);
            Assert.Contains("ONNX Runtime cannot load it", run.Error);
            Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public async Task Names_of_files_are_text_and_no_markup()
    {
        string model = ExportedModels.CopyOf(TestData.Case("base"));
        string named = folder["<script>alert(1)<!-- & \"model\""];
        Directory.Move(model, named);
        IHtmlDocument page = await Page(named);
        Assert.Equal(Path.GetFileName(named), page.QuerySelector("h1")!.TextContent);
        Assert.Empty(page.QuerySelectorAll("script"));
    }

    [Fact]
    public async Task A_page_that_cannot_be_written_leaves_nothing()
    {
        string model = ExportedModels.Of(TestData.Case("base"));
        Directory.CreateDirectory(folder["page.html"]);
        CliRun run = await CliRun.Of("inspect", model, "--html", folder["page.html"]);
        Assert.Equal((3, ""), (run.ExitCode, run.Out));
        Assert.Equal([folder["page.html"]], Directory.GetFileSystemEntries(folder.Path));
    }

    [Theory]
    [InlineData("[]", 3, "expected a profile with a model_run in it, found none")]
    [InlineData(
        """[{"cat": "Session", "name": "model_run", "ts": 0, "dur": 9}]""",
        3,
        "expected a profile with nodes in it, found none"
    )]
    [InlineData("{", 3, "is no profile of ONNX Runtime")]
    [InlineData("[{\"cat\": \"Session\"}]", 3, "is no profile of ONNX Runtime")]
    [InlineData(null, 3, "no such file")]
    [InlineData(
        """
            [{"cat": "Session", "name": "model_run", "ts": 0, "dur": 9},
             {"cat": "Node", "name": "/model/layers.7/MatMul_kernel_time", "ts": 1, "dur": 5}]
            """,
        2,
        "expected a profile of this model, whose layers are 0 to 2; found layer 7"
    )]
    public async Task A_trace_that_is_none_is_told_by_message(string? content, int exitCode, string expected)
    {
        if (content is not null)
        {
            File.WriteAllText(folder["trace.json"], content);
        }
        string model = ExportedModels.Of(TestData.Case("all-mamba"));
        CliRun run = await CliRun.Of("inspect", model, "--html", folder["page.html"], "--trace", folder["trace.json"]);
        Assert.Equal((exitCode, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error);
        Assert.False(File.Exists(folder["page.html"]));
    }

    [Fact]
    public async Task A_trace_without_a_page_and_one_without_a_folder_are_wrong_usage()
    {
        string model = ExportedModels.Of(TestData.Case("base"));
        CliRun inspect = await CliRun.Of("inspect", model, "--trace", "trace.json");
        Assert.Equal(2, inspect.ExitCode);
        Assert.Contains("expected --html as well", inspect.Error);
        CliRun run = await CliRun.Of("run", model, "--prompt", "a", "--trace", folder["none/trace.json"]);
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("--trace: expected a file in a folder that exists", run.Error);
    }

    private async Task<IHtmlDocument> Page(string model, params string[] options)
    {
        string file = folder["page.html"];
        CliRun run = await CliRun.Of(["inspect", model, "--html", file, .. options]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        // Strict: what a browser would have to mend is an error.
        var parser = new HtmlParser(new HtmlParserOptions { IsStrictMode = true });
        return parser.ParseDocument(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
    }

    private static IElement Section(IHtmlDocument page, string title) =>
        page.QuerySelectorAll("section").Single(section => section.QuerySelector("h2")!.TextContent == title);

    private static string Line(string text, string name) =>
        text.Split('\n').Single(line => line.StartsWith($"{name} ", StringComparison.Ordinal))[name.Length..].Trim();

    /// <summary>The exact bytes of a cell, without the rounded ones behind them.</summary>
    private static long Cell(IElement row, int cell) => Number(row.Children[cell].FirstChild!.TextContent);

    private static long Number(string text) =>
        long.Parse(text, NumberStyles.AllowThousands, CultureInfo.InvariantCulture);

    private static double Real(string text) =>
        double.Parse(text, NumberStyles.AllowThousands | NumberStyles.Float, CultureInfo.InvariantCulture);

    private static double Milliseconds(string text) => Real(text.Replace(" ms", "", StringComparison.Ordinal));

    [GeneratedRegex(@"([\d,]+) bytes of (\w+)")]
    private static partial Regex BytesOfType();

    [GeneratedRegex(@": ([\d,.]+) ms in nodes")]
    private static partial Regex InNodes();
}
