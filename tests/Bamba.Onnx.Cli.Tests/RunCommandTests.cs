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
        string cache = Directory.CreateTempSubdirectory("bamba-cache-").FullName;
        Environment.SetEnvironmentVariable(ModelSource.CacheVariable, cache);
        try
        {
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
            CliRun first = await CliRun.Of(args);
            CliRun second = await CliRun.Of(args);
            Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
            Assert.StartsWith($"exporting {TestData.TinyShakespeare} to {cache}", first.Error);
            Assert.Equal("", second.Error);
            Assert.Equal(first.Out, second.Out);
            Assert.Single(Directory.EnumerateDirectories(cache));
        }
        finally
        {
            Environment.SetEnvironmentVariable(ModelSource.CacheVariable, null);
            Directory.Delete(cache, recursive: true);
        }
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
}
