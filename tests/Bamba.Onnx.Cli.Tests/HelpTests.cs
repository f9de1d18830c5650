using System.Diagnostics;
using Bamba.Onnx.Cli.Commands;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli.Tests;

public sealed class HelpTests
{
    private const string Escape = "\u001b";

    public static TheoryData<string> Commands =>
        ["export", "run", "chat", "verify", "quality", "tokenize", "inspect", "bench", "list", "completion"];

    [Fact]
    public async Task Every_command_of_the_list_is_tested_here()
    {
        CliRun run = await CliRun.Of("[suggest]", "bamba-onnx ");
        Assert.Equal(
            run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries),
            Commands.Select(row => row.Data).Order()
        );
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task Every_command_has_examples_of_itself_and_its_exit_codes(string command)
    {
        CliRun run = await CliRun.Of(command, "--help");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        string[] lines = run.Out.Split('\n');
        string[] titles = [.. lines.Where(line => line.Length > 0 && line[0] != ' ')];
        Assert.Superset(
            new HashSet<string> { "DESCRIPTION", "USAGE", "OPTIONS", "EXAMPLES", "EXIT STATUS" },
            titles.ToHashSet()
        );
        Assert.Contains(
            lines,
            line => line.TrimStart().StartsWith('$') && line.Contains($"bamba-onnx {command}", StringComparison.Ordinal)
        );
        Assert.Contains(lines, line => line.StartsWith("  0  ", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("  2  ", StringComparison.Ordinal));
        Assert.DoesNotContain(" | ", string.Concat(lines.Where(line => !line.TrimStart().StartsWith('$'))));
    }

    [Theory]
    [InlineData("run")]
    [InlineData("quality")]
    [InlineData("bench")]
    public async Task Defaults_are_shown_as_they_are_given(string command)
    {
        CliRun run = await CliRun.Of(command, "--help");
        string text = string.Join(' ', run.Out.Split(' ', '\n').Where(word => word.Length > 0));
        Assert.Contains("or a device (cuda, cuda:N). [default: auto]", text);
        Assert.DoesNotMatch(@"\[default: [^\]]*\{", text);
    }

    [Theory]
    [InlineData(ExecutionProvider.Auto, 0, "auto")]
    [InlineData(ExecutionProvider.Cpu, 0, "cpu")]
    [InlineData(ExecutionProvider.Cuda, 0, "cuda")]
    [InlineData(ExecutionProvider.Cuda, 2, "cuda:2")]
    public void A_device_is_written_as_it_is_given(ExecutionProvider provider, int id, string text) =>
        Assert.Equal(text, new Device(provider, id).ToString());

    [Theory]
    [InlineData(60)]
    [InlineData(80)]
    [InlineData(100)]
    public async Task Help_wraps_to_the_width_but_leaves_commands_whole(int width)
    {
        CliRun run = await CliRun.OnTerminal(width, "export", "--help");
        string[] lines = run.Out.Replace(Escape + "[1m", "", StringComparison.Ordinal).Split('\n');
        Assert.All(
            lines.Where(line =>
                !line.TrimStart().StartsWith('$') && !line.StartsWith("  bamba-onnx", StringComparison.Ordinal)
            ),
            line => Assert.InRange(line.Replace(Escape + "[0m", "", StringComparison.Ordinal).Length, 0, width)
        );
        Assert.Contains(
            "    $ bamba-onnx export ./Bamba-9B-v2 -o bamba-study --output-hidden-states --logits all",
            lines
        );
        // The width is used, not only kept.
        Assert.Contains(lines, line => line.Length > width - 12 && !line.Contains('$'));
    }

    [Fact]
    public async Task No_width_makes_lines_longer_than_can_be_read()
    {
        CliRun run = await CliRun.OnTerminal(400, "bench", "--help");
        Assert.All(run.Out.Split('\n').Where(line => !line.Contains('$')), line => Assert.InRange(line.Length, 0, 100));
    }

    [Fact]
    public async Task Titles_are_bold_on_a_terminal_and_nothing_is_styled_elsewhere()
    {
        Assert.Contains($"{Escape}[1mEXAMPLES{Escape}[0m\n", (await CliRun.OnTerminal(80, "run", "--help")).Out);
        CliRun plain = await CliRun.Of("run", "--help");
        Assert.Contains("\nEXAMPLES\n", plain.Out);
        Assert.DoesNotContain(Escape, plain.Out);
    }

    [Fact]
    public async Task Export_tells_its_options_defaults_and_files()
    {
        CliRun run = await CliRun.Of("export", "--help");
        string text = string.Join(' ', run.Out.Split(' ', '\n').Where(word => word.Length > 0));
        Assert.All(
            [
                "--dtype <f32|f16|bf16> Element type of weights and activations, f32 by default.",
                "the model's max_position_embeddings by default",
                "FILES Read from CHECKPOINT: config.json The architecture",
                "bamba.json What the export says of itself",
                "genai_config.json What ONNX Runtime GenAI reads.",
                "130 Cancelled.",
            ],
            part => Assert.Contains(part, text)
        );
    }

    [Fact]
    public async Task Folders_that_happen_to_be_there_are_no_part_of_help() =>
        Assert.Contains("export <CHECKPOINT> ", (await CliRun.Of("--help")).Out);

    [Fact]
    public async Task The_version_names_the_command_ONNX_Runtime_and_DotNet()
    {
        CliRun run = await CliRun.Of("--version");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Matches(@"^bamba-onnx \d+\.\d+\.\d+\S*\nONNX Runtime \d+\.\d+\.\d+\n\.NET \d+\.\d+\.\d+\n$", run.Out);
    }

    [Theory]
    [InlineData(null, "xterm-256color", true)]
    [InlineData("", "xterm", true)]
    [InlineData(null, null, true)]
    [InlineData("1", "xterm", false)]
    [InlineData("0", "xterm", false)]
    [InlineData(null, "dumb", false)]
    public void Style_is_a_wish_of_the_user_and_an_ability_of_the_terminal(
        string? noColor,
        string? term,
        bool expected
    ) => Assert.Equal(expected, CliConsole.IsStyleWanted(noColor, term));

    [Theory]
    [InlineData("", true)]
    [InlineData("NO_COLOR=1 ", false)]
    [InlineData("TERM=dumb ", false)]
    public async Task A_real_terminal_gets_style_unless_it_is_unwanted(string variables, bool expected)
    {
        // "script" of util-linux runs a command in a terminal of its own.
        Assert.SkipUnless(OperatingSystem.IsLinux() && File.Exists("/usr/bin/script"), "there is no script(1) here");
        string command = Path.Combine(AppContext.BaseDirectory, "bamba-onnx");
        var start = new ProcessStartInfo("script", ["-qec", $"{variables}{command} --help", "/dev/null"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["TERM"] = "xterm";
        start.Environment.Remove("NO_COLOR");
        using Process process = Process.Start(start)!;
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Contains("EXAMPLES", output);
        Assert.Equal(expected, output.Contains($"{Escape}[1mEXAMPLES", StringComparison.Ordinal));
    }
}
