using System.Runtime.InteropServices;
using System.Text.Json;
using Bamba.Onnx.Cli.Quality;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Cli.Tests;

public sealed class QualityCommandTests : IDisposable
{
    private const int PlayTokens = 8192;

    private readonly TemporaryFolder folder = new();
    private readonly string play;

    public QualityCommandTests()
    {
        using SafetensorsValues data = ReferenceData.OfTinyShakespeare();
        int[] tokens = [.. data.Longs("validation.tokens").Select(id => (int)id)];
        play = folder["play.txt"];
        File.WriteAllText(play, BambaTokenizer.Load(TestData.TinyShakespeare).Decode(tokens, skipSpecialTokens: false));
    }

    private static string Float32 => ExportedModels.Of(TestData.TinyShakespeare);

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task A_model_is_its_own_equal()
    {
        JsonElement report = await Report(Float32, Float32, "--max-tokens", "700");
        Assert.Equal((0, 0, 0, 0), (Kl("mean_kl"), Kl("mean_kl_error"), Kl("kl_p99"), Kl("max_kl")));
        Assert.Equal(1, report.GetProperty("perplexity_ratio").GetDouble());
        Assert.Equal(0, report.GetProperty("perplexity_ratio_error").GetDouble());
        Assert.Equal(1, report.GetProperty("top_agreement").GetDouble());
        Assert.Equal(Perplexity(report, "reference"), Perplexity(report, "model"));

        double Kl(string key) => report.GetProperty(key).GetDouble();
    }

    [Fact]
    public async Task Float16_differs_by_its_rounding_and_the_perplexity_is_Hugging_Faces()
    {
        string model = ExportedModels.Of(TestData.TinyShakespeare, new ExportOptions { Dtype = ElementType.Float16 });
        JsonElement report = await Report(model, Float32, "--max-tokens", "100000");
        Assert.Equal((PlayTokens, "text"), (report.GetProperty("tokens").GetInt32(), Text(report, "ended_by")));
        Assert.InRange(Perplexity(report, "reference"), 45.91, 45.93);
        Assert.InRange(report.GetProperty("perplexity_ratio").GetDouble(), 0.9995, 1.0005);
        Assert.Equal(
            Perplexity(report, "model") / Perplexity(report, "reference"),
            report.GetProperty("perplexity_ratio").GetDouble(),
            1e-12
        );
        double mean = report.GetProperty("mean_kl").GetDouble();
        Assert.InRange(mean, 1e-8, 1e-5);
        Assert.InRange(report.GetProperty("mean_kl_error").GetDouble(), mean / 1000, mean / 10);
        Assert.InRange(report.GetProperty("kl_p99").GetDouble(), mean, report.GetProperty("max_kl").GetDouble());
        Assert.InRange(report.GetProperty("top_agreement").GetDouble(), 0.995, 1);
    }

    [Fact]
    public async Task The_report_says_what_was_compared_and_what_ended_it()
    {
        JsonElement report = await Report(Float32, Float32, "--max-tokens", "150", "--window", "64");
        Assert.Equal(
            [
                "bamba_onnx_version",
                "onnxruntime_version",
                "reference",
                "model",
                "perplexity_ratio",
                "perplexity_ratio_error",
                "mean_kl",
                "mean_kl_error",
                "kl_p99",
                "max_kl",
                "top_agreement",
                "text",
                "tokens",
                "windows",
                "window",
                "seconds",
                "ended_by",
            ],
            report.EnumerateObject().Select(property => property.Name)
        );
        Assert.Equal((150, 3, 64), (Int("tokens"), Int("windows"), Int("window")));
        Assert.Equal(("play.txt", "tokens"), (Text(report, "text"), Text(report, "ended_by")));
        Assert.InRange(report.GetProperty("seconds").GetDouble(), 0.001, 600);
        JsonElement model = report.GetProperty("model");
        Assert.Equal(
            (Path.GetFileName(Float32), "f32", "CPU"),
            (Text(model, "name"), Text(model, "dtype"), Text(model, "provider"))
        );
        Assert.Equal(
            new FileInfo(Path.Combine(Float32, "model.onnx.data")).Length,
            model.GetProperty("weight_bytes").GetInt64()
        );

        int Int(string key) => report.GetProperty(key).GetInt32();
    }

    [Fact]
    public async Task A_short_text_ends_the_comparison()
    {
        File.WriteAllText(play, "To be, or not to be");
        int tokens = BambaTokenizer.Load(Float32).Encode("To be, or not to be", addSpecialTokens: false).Length;
        JsonElement report = await Report(Float32, Float32);
        Assert.Equal((tokens - 1, "text"), (report.GetProperty("tokens").GetInt32(), Text(report, "ended_by")));
    }

    [Fact]
    public void When_the_time_is_up_the_first_piece_is_there()
    {
        QualityReport report = QualityCheck.Run(
            new CliConsole(TextReader.Null, TextWriter.Null, TextWriter.Null, false),
            Float32,
            Float32,
            play,
            new QualityLimits { Window = 100, Time = TimeSpan.Zero },
            new BambaRuntimeOptions(),
            TestContext.Current.CancellationToken
        );
        Assert.Equal((100, QualityEnd.Seconds), (report.Tokens, report.EndedBy));
    }

    [Fact]
    public async Task Text_is_aligned_and_goes_to_standard_output()
    {
        CliRun run = await Quality(Float32, Float32, "--max-tokens", "100");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Matches(@"(?m)^perplexity +\d+\.\d+ +\d+\.\d+ *$", run.Out);
        Assert.Matches(@"(?m)^perplexity ratio +1\.00000 ± 0\.00000 *$", run.Out);
        Assert.Matches(@"(?m)^KL divergence +0 ± 0 nats a token; 99 % at most 0, all at most 0 *$", run.Out);
        Assert.Matches(@"(?m)^same top token +100\.00 % *$", run.Out);
        Assert.Matches(@"(?m)^sample +100 tokens of play\.txt in a window of 512 *$", run.Out);
        Assert.Matches(@"(?m)^time +\d+\.\d s; ended by the number of tokens *$", run.Out);
    }

    [Fact]
    public async Task A_model_with_changed_weights_is_told_from_its_reference()
    {
        string damaged = Damage(weights =>
        {
            // The other sign for a twentieth of the weights, amidst them.
            foreach (ref float weight in weights.Slice(weights.Length / 2, weights.Length / 20))
            {
                weight = -weight;
            }
        });
        JsonElement report = await Report(damaged, Float32, "--max-tokens", "512");
        Assert.InRange(report.GetProperty("mean_kl").GetDouble(), 0.05, 100);
        Assert.InRange(report.GetProperty("perplexity_ratio").GetDouble(), 1.02, double.MaxValue);
        Assert.InRange(report.GetProperty("top_agreement").GetDouble(), 0, 0.95);
    }

    [Fact]
    public async Task Weights_that_are_no_numbers_are_bad_input()
    {
        string damaged = Damage(weights => weights.Fill(float.NaN));
        CliRun run = await Quality(damaged, Float32, "--max-tokens", "16");
        Assert.Equal((3, ""), (run.ExitCode, run.Out));
        Assert.Contains("expected finite scores, found NaN after token 0 of the text", run.Error);
    }

    [Fact]
    public async Task A_graph_that_scores_the_last_position_only_is_read_token_by_token()
    {
        string last = ExportedModels.Of(TestData.TinyShakespeare, new ExportOptions { Logits = LogitsPositions.Last });
        JsonElement report = await Report(last, Float32, "--max-tokens", "60", "--window", "25");
        Assert.Equal(60, report.GetProperty("tokens").GetInt32());
        Assert.InRange(report.GetProperty("max_kl").GetDouble(), 0, 1e-8);
    }

    [Fact]
    public void The_length_of_pieces_does_not_matter()
    {
        QualityText text = QualityText.Read(play, Float32, Float32, new QualityLimits { Tokens = 50, Window = 20 });
        float[][] whole = Scores(text, 1 << 30);
        float[][] pieces = Scores(text, 7L * sizeof(float) * whole[0].Length);
        Assert.Equal(50, whole.Length);
        Assert.All(whole.Zip(pieces), pair => Assert.All(pair.First.Zip(pair.Second), Near));
        Assert.Equal(
            [(0, 7), (7, 7), (14, 6), (20, 7), (27, 7), (34, 6), (40, 7), (47, 3)],
            text.Pieces(7, 50).Select(piece => (piece.Start, piece.Count))
        );
        Assert.Equal([0, 20, 40], text.Pieces(7, 50).Where(piece => piece.BeginsWindow).Select(piece => piece.Start));

        static void Near((float Wanted, float Found) scores) => Assert.Equal(scores.Wanted, scores.Found, 1e-3);
    }

    [Fact]
    public async Task Checkpoints_are_exported_first()
    {
        var variables = new Dictionary<string, string> { ["BAMBA_ONNX_CACHE"] = folder["exports"] };
        CliRun run = await CliRun.In(
            variables,
            ["quality", TestData.TinyShakespeare, "--against", TestData.TinyShakespeare, "--dtype", "f16", .. Rest()]
        );
        Assert.Equal(0, run.ExitCode);
        using var json = JsonDocument.Parse(run.Out);
        Assert.Equal("f16", Text(json.RootElement.GetProperty("model"), "dtype"));
        Assert.Equal("f32", Text(json.RootElement.GetProperty("reference"), "dtype"));

        string[] Rest() => ["--text", play, "--max-tokens", "20", "--json"];
    }

    [Fact]
    public async Task Another_vocabulary_is_wrong_usage()
    {
        string other = ExportedModels.Of(TestData.Case("base"));
        CliRun run = await Quality(other, Float32);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Matches(
            $"error: {other}: expected a vocabulary of \\d+ tokens, that of {Float32}, found \\d+",
            run.Error
        );
    }

    [Fact]
    public async Task Other_tokens_are_wrong_usage()
    {
        string other = Copy();
        string tokenizer = Path.Combine(other, ModelFiles.Tokenizer);
        var json = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(tokenizer))!;
        json["model"]!["merges"] = new System.Text.Json.Nodes.JsonArray();
        File.WriteAllText(tokenizer, json.ToJsonString());
        CliRun run = await Quality(other, Float32);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Matches(
            $"error: {other}: expected the tokens that {Float32} has for {play}, found others from token \\d+ on",
            run.Error
        );
    }

    [Theory]
    [InlineData("", "expected a text of at least 2 tokens, found 0")]
    [InlineData("a", "expected a text of at least 2 tokens, found 1")]
    [InlineData(null, "expected a text, found no such file")]
    public async Task A_text_that_cannot_be_scored_is_bad_input(string? content, string expected)
    {
        File.Delete(play);
        if (content is not null)
        {
            File.WriteAllText(play, content);
        }
        CliRun run = await Quality(Float32, Float32);
        Assert.Equal((3, "", $"error: {play}: {expected}\n"), (run.ExitCode, run.Out, run.Error));
    }

    [Theory]
    [InlineData("--window", "5000", "expected windows of at most 4096 tokens, the model's context, found 5000")]
    [InlineData("--window", "0", "--window: expected a whole number of at least 1, found '0'")]
    [InlineData("--max-tokens", "many", "--max-tokens: expected a whole number of at least 1, found 'many'")]
    [InlineData("--max-seconds", "0.5", "--max-seconds: expected a whole number of at least 1, found '0.5'")]
    public async Task Wrong_options_are_wrong_usage(string option, string value, string expected)
    {
        CliRun run = await Quality(Float32, Float32, option, value);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error);
    }

    [Fact]
    public async Task Progress_is_shown_on_a_terminal_and_taken_away()
    {
        CliRun run = await CliRun.OnTerminal(
            60,
            ["quality", Float32, "--against", Float32, "--text", play, "--max-tokens", "30", "--window", "20"]
        );
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(
            [
                "",
                "reference: loading",
                "reference: token 0 of 30",
                "reference: token 20 of 30",
                "model: loading",
                "model: token 0 of 30",
                "model: token 20 of 30",
                "",
            ],
            run.Error.Split('\r').Select(line => line.Replace("\u001b[K", "", StringComparison.Ordinal))
        );
    }

    [Fact]
    public async Task A_cancelled_comparison_says_so()
    {
        using var cancellation = new CancellationTokenSource();
        // Between the two models, so that the file of scores is there to be taken away.
        var error = new CancelAt("model: loading", cancellation);
        var console = new CliConsole(TextReader.Null, TextWriter.Null, error, ErrorIsTerminal: true);
        int exitCode = await CommandLine.RunAsync(
            ["quality", Float32, "--against", Float32, "--text", play, "--max-tokens", "30"],
            console,
            cancellation.Token
        );
        Assert.Equal(130, exitCode);
        Assert.EndsWith("cancelled", error.ToString().Trim());
    }

    private static float[][] Scores(QualityText text, long pieceBytes)
    {
        var scores = new List<float[]>();
        using var scorer = TextScorer.Open(
            ModelFolder.Open(Float32),
            new BambaRuntimeOptions { Provider = ExecutionProvider.Cpu },
            TestContext.Current.CancellationToken,
            pieceBytes
        );
        scorer.Score(
            text,
            text.Positions,
            () => false,
            (_, position) => scores.Add(position.ToArray()),
            TestContext.Current.CancellationToken
        );
        return [.. scores];
    }

    private string Copy()
    {
        string copy = folder["copy"];
        Directory.Move(ExportedModels.CopyOf(TestData.TinyShakespeare), copy);
        return copy;
    }

    private string Damage(SpanAction change)
    {
        string copy = Copy();
        string path = Path.Combine(copy, ModelFiles.Weights);
        byte[] bytes = File.ReadAllBytes(path);
        change(MemoryMarshal.Cast<byte, float>(bytes.AsSpan()));
        File.WriteAllBytes(path, bytes);
        return copy;
    }

    private async Task<JsonElement> Report(string model, string reference, params string[] options)
    {
        CliRun run = await Quality(model, reference, [.. options, "--json"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        return json.RootElement.Clone();
    }

    private Task<CliRun> Quality(string model, string reference, params string[] options) =>
        CliRun.Of(["quality", model, "--against", reference, "--text", play, "--device", "cpu", .. options]);

    private static double Perplexity(JsonElement report, string model) =>
        report.GetProperty(model).GetProperty("perplexity").GetDouble();

    private static string? Text(JsonElement json, string key) => json.GetProperty(key).GetString();

    private delegate void SpanAction(Span<float> weights);

    /// <summary>A terminal that cancels as soon as it is shown some text.</summary>
    private sealed class CancelAt(string text, CancellationTokenSource cancellation) : StringWriter
    {
        public override void Write(string? value)
        {
            base.Write(value);
            if (value?.Contains(text, StringComparison.Ordinal) == true)
            {
                cancellation.Cancel();
            }
        }
    }
}
