using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class CompletionTests
{
    [Theory]
    [InlineData("bamba-onnx ins", "inspect")]
    [InlineData("./bamba-onnx ins", "inspect")]
    [InlineData("bamba-onnx export --d", "--download --dtype")]
    [InlineData("bamba-onnx export --dtype ", "bf16 f16 f32")]
    [InlineData("bamba-onnx run --dtype ", "bf16 f16 f32")]
    [InlineData("bamba-onnx export --dtype b", "bf16")]
    [InlineData("bamba-onnx export --dtype=", "--dtype=bf16 --dtype=f16 --dtype=f32")]
    [InlineData("bamba-onnx export --logits=l", "--logits=last")]
    [InlineData("bamba-onnx bench -o ", "json md")]
    [InlineData("bamba-onnx bench -p ", "")]
    [InlineData("bamba-onnx run --prompt ", "")]
    [InlineData("bamba-onnx chat --format ", "chatml granite llama3 plain")]
    [InlineData("bamba-onnx chat --system ", "")]
    [InlineData("bamba-onnx quality x --max-", "--max-seconds --max-tokens")]
    [InlineData("bamba-onnx completion ", "bash fish pwsh zsh")]
    [InlineData("bamba-onnx completion bash ", "--help")]
    [InlineData(
        "bamba-onnx inspect x --json --",
        "--calibration --download --dtype --embedding --group-size --head --help --html --keep --method --ops --revision --scales --trace --weights --zero-points"
    )]
    [InlineData("bamba-onnx nothing-like-it", "")]
    public async Task Proposals_fit_their_place(string line, string expected) =>
        Assert.Equal(expected, string.Join(' ', await Proposals(line)));

    [Fact]
    public async Task A_fresh_line_gets_the_commands_and_no_options()
    {
        string[] proposals = await Proposals("bamba-onnx ");
        Assert.Superset(new HashSet<string> { "bench", "completion", "export", "run" }, proposals.ToHashSet());
        Assert.DoesNotContain(proposals, proposal => proposal.StartsWith('-'));
        Assert.Contains("--version", await Proposals("bamba-onnx --"));
    }

    [Fact]
    public async Task Folders_are_proposed_where_a_folder_is_wanted()
    {
        using var folder = new TemporaryFolder();
        foreach (string name in (string[])["model-a", "model-b", ".hidden", "my folder/inside"])
        {
            Directory.CreateDirectory(folder[name]);
        }
        File.WriteAllText(folder["model-file"], "");
        string start = folder.Path + "/";
        Assert.Equal(
            [start + "model-a/", start + "model-b/", start + "my folder/"],
            await Proposals($"bamba-onnx inspect {start}")
        );
        Assert.Equal(
            [start + "model-a/", start + "model-b/"],
            await Proposals($"bamba-onnx export CHECKPOINT -o {start}mod")
        );
        Assert.Equal([start + ".hidden/"], await Proposals($"bamba-onnx bench {start}."));
        Assert.Equal(
            [start + "my folder/inside/"],
            await Proposals($"bamba-onnx verify CASE --reference \"{start}my folder/i\"")
        );
        Assert.Equal([start + "model-a/"], await Proposals($"bamba-onnx quality x --against {start}model-a"));
        Assert.Empty(await Proposals($"bamba-onnx inspect {start}nowhere/x"));
    }

    [Fact]
    public async Task What_stands_behind_the_cursor_does_not_count()
    {
        CliRun run = await CliRun.Of("[suggest:14]", "bamba-onnx insbench");
        Assert.Equal((0, "inspect\n", ""), (run.ExitCode, run.Out, run.Error));
        Assert.Equal("inspect\n", (await CliRun.Of("[suggest:999]", "bamba-onnx ins")).Out);
    }

    [Fact]
    public async Task An_unknown_shell_is_wrong_usage()
    {
        CliRun run = await CliRun.Of("completion", "tcsh");
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains("tcsh", run.Error);
    }

    private static async Task<string[]> Proposals(string line)
    {
        CliRun run = await CliRun.Of($"[suggest:{line.Length}]", line);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        return run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
