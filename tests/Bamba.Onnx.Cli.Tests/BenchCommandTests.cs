using System.Globalization;
using System.Text.Json;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class BenchCommandTests
{
    private static string Model => ExportedModels.Of(TestData.TinyShakespeare);

    [Fact]
    public async Task Json_holds_every_sample_and_its_numbers_agree()
    {
        DateTime before = DateTime.UtcNow;
        CliRun run = await Bench("-p", "8", "-n", "4", "-b", "2", "-d", "3", "-r", "2", "-t", "1", "-o", "json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        using var json = JsonDocument.Parse(run.Out);
        JsonElement[] tests = [.. json.RootElement.EnumerateArray()];
        Assert.Equal(["pp8 @ d3", "tg4 @ d3"], tests.Select(test => test.GetProperty("test").GetString()));
        foreach (JsonElement test in tests)
        {
            Assert.Equal((2, 3, 1), (Int("batch"), Int("n_depth"), Int("n_threads")));
            int tokens = 2 * (Int("n_prompt") + Int("n_gen"));
            double[] nanoseconds = Doubles("samples_ns");
            double[] speeds = Doubles("samples_ts");
            Assert.Equal(2, nanoseconds.Length);
            Assert.All(nanoseconds, time => Assert.True(time > 0));
            Assert.Equal(nanoseconds.Select(time => tokens / (time / 1e9)), speeds);
            Assert.Equal(nanoseconds.Average(), Double("avg_ns"), 1e-3);
            Assert.Equal(speeds.Average(), Double("avg_ts"), 1e-6);
            // Of two samples, the deviation is the distance over the root of 2.
            Assert.Equal(Math.Abs(speeds[0] - speeds[1]) / Math.Sqrt(2), Double("stddev_ts"), 1e-6);

            Assert.Equal(4_869_420, Int("model_n_params"));
            Assert.Equal(new FileInfo(Path.Combine(Model, "model.onnx.data")).Length, Int("model_size"));
            // Rows side by side have room for one token more, which an idle row needs.
            int length = 3 + Int("n_prompt") + Int("n_gen") + 1;
            Assert.Equal(
                2 * (Int("state_bytes_per_sequence") + (length * Int("kv_bytes_per_token"))),
                Int("session_state_bytes")
            );
            Assert.Equal(("f32", "CPU", "function body"), (Text("dtype"), Text("provider"), Text("scan")));
            Assert.InRange(test.GetProperty("test_time").GetDateTime(), before, DateTime.UtcNow);
            Assert.EndsWith("Z", Text("test_time"));
            Assert.All(
                ["bamba_onnx_version", "onnxruntime_version", "dotnet_version", "os", "cpu_info", "model"],
                key => Assert.NotEqual("", Text(key))
            );

            int Int(string key) => test.GetProperty(key).GetInt32();
            double Double(string key) => test.GetProperty(key).GetDouble();
            string? Text(string key) => test.GetProperty(key).GetString();
            double[] Doubles(string key) =>
                [.. test.GetProperty(key).EnumerateArray().Select(item => item.GetDouble())];
        }
        Assert.Equal((8, 0), Lengths(tests[0]));
        Assert.Equal((0, 4), Lengths(tests[1]));

        static (int, int) Lengths(JsonElement test) =>
            (test.GetProperty("n_prompt").GetInt32(), test.GetProperty("n_gen").GetInt32());
    }

    [Fact]
    public async Task Markdown_has_a_row_a_test_and_names_machine_and_versions()
    {
        CliRun run = await Bench("-p", "4,8", "-n", "2", "-d", "0,5", "-r", "1");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        string[] lines = run.Out.Split('\n');
        string[][] rows = [.. lines[2..8].Select(line => line.Split('|', StringSplitOptions.TrimEntries)[1..^1])];
        Assert.Equal(["pp4", "pp8", "tg2", "pp4 @ d5", "pp8 @ d5", "tg2 @ d5"], rows.Select(row => row[8]));
        Assert.All(rows, row => Assert.True(double.Parse(row[9].Split(' ')[0], CultureInfo.InvariantCulture) > 0));
        Assert.Matches("cores?, .*; bamba-onnx .*, ONNX Runtime .*, .NET ", lines[9]);
        Assert.Contains("626,688 bytes, and 1,536 bytes a token", lines[11]);
    }

    [Theory]
    [InlineData("pp4", "-p", "4", "-n", "0")]
    [InlineData("tg3", "-p", "0", "-n", "3")]
    public async Task A_length_of_zero_leaves_a_kind_out(string expected, params string[] args)
    {
        CliRun run = await Bench([.. args, "-r", "1"]);
        Assert.Equal(0, run.ExitCode);
        string row = Assert.Single(
            run.Out.Split('\n'),
            line => line.Contains("function body", StringComparison.Ordinal)
        );
        Assert.Contains($" {expected} |", row);
    }

    [Fact]
    public async Task A_test_past_the_context_is_refused_before_any_runs()
    {
        CliRun run = await Bench("-p", "8", "-n", "4", "-d", "0,4093");
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains("pp8 @ d4093: expected at most 4096 tokens", run.Error);
        Assert.Contains("found 4101; nothing was run", run.Error);
    }

    [Theory]
    [InlineData("-p", "8,", "--n-prompt: expected a whole number of at least 0, found ''")]
    [InlineData("-n", "-1", "--n-gen: expected a whole number of at least 0, found '-1'")]
    [InlineData("-b", "0", "--batch: expected a whole number of at least 1, found '0'")]
    [InlineData("-d", "1x", "--n-depth: expected a whole number of at least 0, found '1x'")]
    [InlineData("-r", "2,3", "--repetitions: expected a whole number of at least 1, found '2,3'")]
    [InlineData("-t", "0", "--threads: expected a whole number of at least 1, found '0'")]
    [InlineData("-o", "csv", "csv")]
    public async Task Wrong_options_are_wrong_usage(string option, string value, string expected)
    {
        CliRun run = await Bench(option, value);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error);
    }

    [Fact]
    public async Task Nothing_to_measure_is_wrong_usage()
    {
        CliRun run = await Bench("-p", "0", "-n", "0");
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains("--n-prompt 0 and --n-gen 0", run.Error);
    }

    [Fact]
    public async Task Progress_is_shown_on_a_terminal_and_taken_away()
    {
        CliRun run = await CliRun.OnTerminal(30, "bench", Model, "-p", "4", "-n", "0", "-r", "1");
        Assert.Equal(0, run.ExitCode);
        string[] shown =
        [
            .. run.Error.Split('\r').Select(line => line.Replace("\u001b[K", "", StringComparison.Ordinal)),
        ];
        Assert.Equal(["", "pp4: warm-up", "pp4: repetition 1 of 1", ""], shown);
    }

    [Fact]
    public async Task A_cancelled_measurement_says_so()
    {
        using var cancellation = new CancellationTokenSource();
        await cancellation.CancelAsync();
        var error = new StringWriter();
        var console = new CliConsole(TextReader.Null, TextWriter.Null, error, false);
        int exitCode = await CommandLine.RunAsync(["bench", Model, "-p", "4"], console, cancellation.Token);
        Assert.Equal((130, "cancelled"), (exitCode, error.ToString().Trim()));
    }

    private static Task<CliRun> Bench(params string[] args) => CliRun.Of(["bench", Model, .. args]);
}
