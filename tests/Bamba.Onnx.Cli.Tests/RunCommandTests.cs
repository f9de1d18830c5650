using System.Text.Json;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class RunCommandTests
{
    private static readonly string Model = ExportedModels.Of(TestData.TinyShakespeare);

    [Fact]
    public async Task Run_prints_the_prompt_and_its_greedy_continuation_and_nothing_else()
    {
        using var expected = JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(TestData.TinyShakespeare, "expected.json"))
        );
        foreach (string i in (string[])["0", "1", "3"])
        {
            JsonElement entry = expected.RootElement.GetProperty(i);
            string prompt = entry.GetProperty("prompt").GetString()!;
            CliRun run = await CliRun.Of("run", Model, "--prompt", prompt, "--max-tokens", "48", "--temperature", "0");
            Assert.Equal((0, ""), (run.ExitCode, run.Error));
            Assert.Equal(
                (prompt + entry.GetProperty("text").GetString()).TrimEnd('\n') + "\n",
                run.Out.TrimEnd('\n') + "\n"
            );
        }
    }

    [Fact]
    public async Task The_prompt_may_come_from_standard_input()
    {
        CliRun option = await CliRun.Of("run", Model, "--prompt", "ROMEO", "--max-tokens", "5", "--temperature", "0");
        CliRun input = await CliRun.With("ROMEO", "run", Model, "--max-tokens", "5", "--temperature", "0");
        Assert.Equal(option, input);
    }

    [Fact]
    public async Task A_seed_repeats_a_text()
    {
        string[] args = ["run", Model, "--prompt", "ROMEO", "--max-tokens", "20", "--seed", "3"];
        Assert.Equal(await CliRun.Of(args), await CliRun.Of(args));
        Assert.NotEqual(await CliRun.Of(args), await CliRun.Of([.. args[..^1], "4"]));
    }

    [Theory]
    [InlineData("", "expected a prompt")]
    public async Task An_empty_prompt_is_wrong_usage(string prompt, string expected)
    {
        CliRun run = await CliRun.Of("run", Model, "--prompt", prompt);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error);
    }

    [Fact]
    public async Task A_prompt_past_the_context_is_wrong_usage()
    {
        CliRun run = await CliRun.With(
            string.Concat(Enumerable.Repeat("x y ", 3000)),
            "run",
            Model,
            "--max-tokens",
            "5"
        );
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains("expected at most 4096 tokens", run.Error);
    }

    [Theory]
    [InlineData("--temperature", "-1", "--temperature: expected a number that is not negative, found -1")]
    [InlineData("--temperature", "warm", "--temperature")]
    [InlineData("--max-tokens", "-2", "--max-tokens: expected a number that is not negative, found -2")]
    [InlineData("--unknown", "1", "--unknown")]
    public async Task Wrong_options_are_wrong_usage(string option, string value, string expected)
    {
        CliRun run = await CliRun.Of("run", Model, "--prompt", "x", option, value);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_missing_folder_and_a_folder_of_something_else_are_bad_input()
    {
        CliRun missing = await CliRun.Of("run", "/nowhere/at-all", "--prompt", "x");
        Assert.Equal(
            (3, "", "error: /nowhere/at-all: no such folder\n"),
            (missing.ExitCode, missing.Out, missing.Error)
        );
        CliRun other = await CliRun.Of("run", Path.Combine(TestData.Root, "tests"), "--prompt", "x");
        Assert.Equal(3, other.ExitCode);
        Assert.Contains(
            "expected an exported model (bamba.json) or a checkpoint (config.json), found neither",
            other.Error
        );
    }

    [Fact]
    public async Task A_checkpoint_is_exported_to_the_cache_once()
    {
        using var cache = new TemporaryFolder();
        string[] args =
        [
            "run",
            TestData.TinyShakespeare,
            "--prompt",
            "ROMEO",
            "--max-tokens",
            "3",
            "--temperature",
            "0",
        ];
        var variables = new Dictionary<string, string> { ["BAMBA_ONNX_CACHE"] = cache.Path };
        CliRun first = await CliRun.In(variables, args);
        CliRun second = await CliRun.In(variables, args);
        Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
        Assert.StartsWith($"exporting {TestData.TinyShakespeare} to {cache.Path}", first.Error);
        Assert.Equal("", second.Error);
        Assert.Equal(first.Out, second.Out);
        Assert.Single(Directory.EnumerateDirectories(cache.Path, "bamba-tiny-shakespeare-*"));
    }

    [Fact]
    public async Task A_checkpoint_is_exported_in_fewer_bits_once_for_each_choice_of_them()
    {
        using var cache = new TemporaryFolder();
        var variables = new Dictionary<string, string> { ["BAMBA_ONNX_CACHE"] = cache.Path };
        string[] args = ["run", TestData.TinyShakespeare, "-p", "ROMEO", "-n", "3", "--temperature", "0"];
        string[] four = [.. args, "--weights", "int4", "--method", "nearest"];
        string exporting = $"exporting {TestData.TinyShakespeare} to {cache.Path}";
        CliRun first = await CliRun.In(variables, four);
        CliRun second = await CliRun.In(variables, four);
        Assert.Equal((0, 0, "", first.Out), (first.ExitCode, second.ExitCode, second.Error, second.Out));
        Assert.StartsWith(exporting, first.Error);
        foreach (
            string[] other in (string[][])
                [
                    [.. four, "--group-size", "32"],
                    [.. four, "--scales", "f16"],
                    [.. four, "--keep", "*gate_proj*"],
                    args,
                ]
        )
        {
            Assert.StartsWith(exporting, (await CliRun.In(variables, other)).Error);
            Assert.Equal("", (await CliRun.In(variables, other)).Error);
        }
        Assert.Equal("", (await CliRun.In(variables, [.. four, "--group-size", "128"])).Error);

        CliRun listed = await CliRun.In(
            new Dictionary<string, string>(variables) { ["HF_HUB_CACHE"] = cache["hub"] },
            "list"
        );
        Assert.Equal(
            (4, 2),
            (
                listed.Out.Split("kept export, f32, ").Length - 1,
                listed.Out.Split("in 4 bits, groups of 128  ").Length - 1
            )
        );
    }

    [Fact]
    public async Task Another_text_to_see_activations_on_makes_another_export()
    {
        using var cache = new TemporaryFolder();
        var variables = new Dictionary<string, string> { ["BAMBA_ONNX_CACHE"] = cache.Path };
        string text = cache["text.txt"];
        string[] args =
        [
            .. (string[])["run", TestData.TinyShakespeare, "-p", "ROMEO", "-n", "1"],
            .. (string[])["--weights", "int4", "--method", "activation", "--calibration", text],
        ];
        foreach (
            string line in (string[])["A horse, a horse, my kingdom for a horse! ", "Speak the speech, I pray you. "]
        )
        {
            File.WriteAllText(text, string.Concat(Enumerable.Repeat(line, 200)));
            Assert.StartsWith("exporting ", (await CliRun.In(variables, args)).Error);
            Assert.Equal("", (await CliRun.In(variables, args)).Error);
        }
    }

    [Theory]
    [InlineData("run", "--weights", "int4")]
    [InlineData("run", "--group-size", "128")]
    [InlineData("chat", "--scales", "f16")]
    [InlineData("bench", "--method", "search")]
    [InlineData("run", "--dtype", "f32")]
    public async Task How_to_export_is_no_question_for_an_exported_model(string command, string option, string value)
    {
        CliRun run = await CliRun.Of(command, Model, option, value);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Equal(
            $"error: {option}: expected a checkpoint, which is exported as the option says, found an exported model, {Model}\n",
            run.Error
        );
    }

    [Fact]
    public async Task Bfloat16_is_refused_on_a_cpu_with_what_to_do()
    {
        string model = ExportedModels.Of(TestData.TinyShakespeare, new() { Dtype = Contract.ElementType.BFloat16 });
        CliRun run = await CliRun.Of("run", model, "--prompt", "x");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("bfloat16", run.Error);
        Assert.Contains("--dtype f32", run.Error);
    }

    [Fact]
    public async Task Events_tell_the_text_token_by_token()
    {
        string[] args = ["run", Model, "--prompt", "ROMEO:", "--max-tokens", "12"];
        CliRun run = await CliRun.Of([.. args, "--temperature", "0", "--json", "--logprobs", "2", "--stop", "zzz"]);
        JsonElement[] events =
        [
            .. run
                .Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => JsonDocument.Parse(line).RootElement),
        ];
        Assert.Equal(
            ["start", .. Enumerable.Repeat("token", 12), "end"],
            events.Select(line => line.GetProperty("event").GetString())
        );
        JsonElement end = events[^1];
        Assert.Equal("max_new_tokens", end.GetProperty("finish_reason").GetString());
        Assert.Equal(12, end.GetProperty("generated_tokens").GetInt32());
        string text = string.Concat(events[1..^1].Select(token => token.GetProperty("text").GetString()));
        Assert.Equal(text, end.GetProperty("text").GetString());
        CliRun plain = await CliRun.Of([.. args, "--temperature", "0"]);
        Assert.Equal(("ROMEO:" + text).TrimEnd('\n'), plain.Out.TrimEnd('\n'));
        Assert.All(
            events[1..^1],
            token =>
            {
                Assert.Equal(2, token.GetProperty("alternatives").GetArrayLength());
                Assert.Equal(
                    token.GetProperty("log_probability").GetDouble(),
                    token.GetProperty("alternatives")[0].GetProperty("log_probability").GetDouble()
                );
            }
        );
    }

    [Fact]
    public async Task The_seed_that_events_tell_repeats_the_text()
    {
        string[] args = ["run", Model, "--prompt", "ROMEO:", "--max-tokens", "20", "--json"];
        static JsonElement Line(CliRun run, Index line) =>
            JsonDocument.Parse(run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)[line]).RootElement;
        CliRun first = await CliRun.Of(args);
        ulong seed = Line(first, 0).GetProperty("seed").GetUInt64();
        CliRun second = await CliRun.Of([.. args, "--seed", $"{seed}"]);
        Assert.Equal(Line(first, ^1).GetProperty("text").GetString(), Line(second, ^1).GetProperty("text").GetString());
    }

    [Fact]
    public async Task A_stop_string_ends_the_text_and_a_forbidden_token_does_not_come()
    {
        string[] args = ["run", Model, "--prompt", "ROMEO:", "--max-tokens", "20", "--temperature", "0"];
        string whole = (await CliRun.Of(args)).Out;
        string stop = whole[12..16];
        string stopped = (await CliRun.Of([.. args, "--stop", stop])).Out;
        Assert.Equal(
            whole[..whole.IndexOf(stop, "ROMEO:".Length, StringComparison.Ordinal)].TrimEnd('\n'),
            stopped.TrimEnd('\n')
        );
        CliRun json = await CliRun.Of([.. args, "--json"]);
        int id = JsonDocument.Parse(json.Out.Split('\n')[1]).RootElement.GetProperty("id").GetInt32();
        CliRun without = await CliRun.Of([.. args, "--json", "--logit-bias", $"{id}=-inf"]);
        Assert.DoesNotContain($"\"id\":{id},", without.Out);
    }

    [Theory]
    [InlineData("--top-p", "1.5", "--top-p: expected a share")]
    [InlineData("--top-k", "0", "--top-k: expected")]
    [InlineData("--min-p", "-1", "--min-p: expected")]
    [InlineData("--repetition-penalty", "0", "--repetition-penalty: expected")]
    [InlineData("--logit-bias", "x=1", "--logit-bias: expected a token id")]
    [InlineData("--stop", "", "expected stop strings with text")]
    [InlineData("--device", "tpu", "tpu")]
    public async Task A_value_out_of_range_is_wrong_usage(string option, string value, string expected)
    {
        CliRun run = await CliRun.Of("run", Model, "--prompt", "a", option, value);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error);
    }
}
