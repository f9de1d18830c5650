using System.Diagnostics;
using System.Globalization;
using System.Text;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class ChatCommandTests
{
    private static readonly string Model = ExportedModels.Of(TestData.TinyShakespeare);
    private static readonly string[] Greedy = ["chat", Model, "--temperature", "0", "--max-tokens", "12"];
    private static readonly string[] Plain = [.. Greedy, "--format", "plain"];

    private static Task<CliRun> Chat(params string[] lines) => CliRun.With(string.Join('\n', lines), Plain);

    [Fact]
    public async Task A_line_is_a_turn_and_the_first_continues_as_run_does()
    {
        CliRun chat = await Chat("ROMEO");
        CliRun run = await CliRun.Of("run", Model, "--prompt", "ROMEO", "--temperature", "0", "--max-tokens", "12");
        Assert.Equal((0, ""), (chat.ExitCode, chat.Error));
        Assert.Equal(run.Out, "ROMEO" + chat.Out);
        CliRun longer = await Chat("ROMEO", "", "JULIET");
        Assert.StartsWith(chat.Out, longer.Out);
        Assert.NotEqual(chat.Out, longer.Out);
    }

    [Fact]
    public async Task The_model_s_template_is_followed_unless_a_format_is_named()
    {
        CliRun own = await CliRun.With("ROMEO", Greedy);
        Assert.Equal(own, await CliRun.With("ROMEO", [.. Greedy, "--format", "llama3"]));
        Assert.NotEqual(own, await CliRun.With("ROMEO", Plain));
        CliRun told = await CliRun.With("ROMEO\n/history", [.. Greedy, "--system", "Speak as a king."]);
        Assert.Contains("system: Speak as a king.\nuser: ROMEO\n", told.Out);
        Assert.NotEqual((await CliRun.With("ROMEO\n/history", Greedy)).Error, told.Error);
    }

    [Fact]
    public async Task The_history_shows_what_was_said_and_undo_takes_it_back_turn_by_turn()
    {
        CliRun both = await Chat("ROMEO", "JULIET", "/history");
        Assert.Contains("user: ROMEO\nassistant: ", both.Out);
        Assert.Contains("user: JULIET\nassistant: ", both.Out);
        CliRun undone = await Chat("ROMEO", "JULIET", "/undo", "/history", "/undo", "/undo");
        Assert.Equal(1, undone.Out.Split("user: ").Length - 1);
        Assert.Contains("(taken back: 1 turn, ", undone.Error);
        Assert.Contains("(taken back: 0 turns, 0 of 4096 tokens)", undone.Error);
        Assert.EndsWith("there is no turn to take back\n", undone.Error);
        CliRun again = await Chat("ROMEO", "JULIET", "/undo", "JULIET", "/history");
        Assert.Equal(
            both.Out[both.Out.IndexOf("user: ", StringComparison.Ordinal)..],
            again.Out[again.Out.IndexOf("user: ", StringComparison.Ordinal)..]
        );
    }

    [Fact]
    public async Task A_retry_with_a_seed_gives_another_answer_and_the_same_one_each_time()
    {
        string[] args = ["chat", Model, "--seed", "5", "--temperature", "1.5", "--max-tokens", "12"];
        CliRun retried = await CliRun.With("ROMEO\n/retry\n/retry\n/history", args);
        Assert.Equal(0, retried.ExitCode);
        Assert.Equal(retried, await CliRun.With("ROMEO\n/retry\n/retry\n/history", args));
        CliRun first = await CliRun.With("ROMEO\n/history", args);
        Assert.DoesNotContain(first.Out[first.Out.IndexOf("user: ", StringComparison.Ordinal)..], retried.Out);
        Assert.Equal(1, retried.Out.Split("user: ROMEO").Length - 1);
        Assert.Contains("there is no turn to try again", (await Chat("/retry")).Error);
    }

    [Fact]
    public async Task A_saved_conversation_goes_on_in_another_run()
    {
        using var folder = new TemporaryFolder();
        string file = folder["my talk"];
        CliRun whole = await Chat("ROMEO", $"/save {file}", "/clear", "/history", $"/load {file}", "JULIET");
        Assert.Contains("(saved: 1 turn, ", whole.Error);
        Assert.Contains("(cleared: 0 turns, ", whole.Error);
        Assert.Contains("(loaded: 1 turn, ", whole.Error);
        CliRun first = await Chat("ROMEO");
        CliRun later = await CliRun.With($"/load {file}\nJULIET", Greedy);
        Assert.Equal(whole.Out, first.Out + later.Out);
        Assert.Equal([file], Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_conversation_with_another_model_is_refused_and_the_chat_goes_on()
    {
        using var folder = new TemporaryFolder();
        string half = ExportedModels.Of(TestData.TinyShakespeare, new ExportOptions { Dtype = ElementType.Float16 });
        CliRun saved = await CliRun.With($"ROMEO\n/save {folder["chat"]}", ["chat", half, .. Plain[2..]]);
        Assert.Equal(0, saved.ExitCode);
        CliRun refused = await Chat("ROMEO", $"/load {folder["chat"]}", "JULIET");
        Assert.Contains($"error: {folder["chat"]}: expected a conversation with this model", refused.Error);
        Assert.Equal((await Chat("ROMEO", "JULIET")).Out, refused.Out);
    }

    [Theory]
    [InlineData("/bogus", "expected one of /help, /history, /undo, /retry, /clear, /save, /load, /exit, found /bogus")]
    [InlineData("/", "expected one of /help")]
    [InlineData("/save", "expected /save FILE, found no name of a file")]
    [InlineData("/undo 3", "expected /undo, found \"3\" behind it")]
    [InlineData("/load /nowhere/at/all", "/nowhere/at/all: no such file")]
    [InlineData("/save /nowhere/at/all", "/nowhere/at/")]
    public async Task A_command_that_cannot_be_honoured_says_why_and_the_chat_goes_on(string line, string expected)
    {
        CliRun run = await Chat("ROMEO", line, "JULIET");
        Assert.Equal(0, run.ExitCode);
        Assert.StartsWith("error: ", run.Error);
        Assert.Contains(expected, run.Error);
        Assert.Equal((await Chat("ROMEO", "JULIET")).Out, run.Out);
    }

    [Fact]
    public async Task Help_lists_the_commands_and_exit_leaves()
    {
        CliRun run = await Chat("/help", "/exit", "ROMEO");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(8, run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        string page = (await CliRun.Of("chat", "--help")).Out;
        Assert.All(run.Out.Split('\n').SkipLast(1), line => Assert.Contains($"\n  {line.Split("  ")[0]}  ", page));
    }

    [Fact]
    public async Task Two_slashes_say_one_to_the_model()
    {
        CliRun run = await Chat("//exit", "/history");
        Assert.Contains("user: /exit\n", run.Out);
    }

    [Fact]
    public async Task A_full_context_is_told_and_undo_makes_room()
    {
        string small = ExportedModels.Of(TestData.TinyShakespeare, new ExportOptions { ContextLength = 40 });
        string[] args = ["chat", small, "--format", "plain", "--temperature", "0", "--max-tokens"];
        string tooMuch = string.Concat(Enumerable.Repeat("x y ", 30));
        CliRun refused = await CliRun.With($"ROMEO\n{tooMuch}\nJULIET", [.. args, "12"]);
        Assert.Equal(0, refused.ExitCode);
        Assert.Contains("error: expected at most 40 tokens", refused.Error);
        Assert.EndsWith("; /undo or /clear makes room\n", refused.Error);
        Assert.Equal((await CliRun.With("ROMEO\nJULIET", [.. args, "12"])).Out, refused.Out);
        CliRun full = await CliRun.With("ROMEO\nJULIET\n/undo\n/history", [.. args, "30"]);
        Assert.StartsWith("(the context of 40 tokens is full; /undo or /clear makes room)\n", full.Error);
        Assert.Contains("(taken back: 1 turn, ", full.Error);
    }

    [Theory]
    [InlineData("--format", "gemma", "gemma")]
    [InlineData("--max-tokens", "-1", "--max-tokens: expected a number that is not negative, found -1")]
    [InlineData("--format", "chatml", "the chat format chatml needs the special token <|im_start|>")]
    [InlineData("--json", "x", "--json")]
    public async Task Wrong_options_are_wrong_usage(string option, string value, string expected)
    {
        CliRun run = await CliRun.With("ROMEO", "chat", Model, option, value);
        Assert.Equal((2, ""), (run.ExitCode, run.Out));
        Assert.Contains(expected, run.Error, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_template_of_no_known_format_is_refused_unless_a_format_is_named()
    {
        string copy = ExportedModels.CopyOf(TestData.TinyShakespeare);
        try
        {
            string template = Path.Combine(copy, ModelFiles.ChatTemplate);
            File.WriteAllText(template, new string('x', (int)new FileInfo(template).Length));
            CliRun refused = await CliRun.With("ROMEO", "chat", copy);
            Assert.Equal((3, ""), (refused.ExitCode, refused.Out));
            Assert.Contains($"{template}: expected a chat template with the marks of chatml", refused.Error);
            Assert.Contains("--format plain, chatml, llama3 or granite", refused.Error);
            CliRun named = await CliRun.With("ROMEO", ["chat", copy, .. Plain[2..]]);
            Assert.Equal(await Chat("ROMEO"), named);
        }
        finally
        {
            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public async Task An_interrupt_stops_the_answer_and_the_chat_goes_on()
    {
        var terminal = new Interruptible("ROMEO", "/history", "JULIET");
        terminal.OnOutput = _ => terminal.Interrupt();
        CliRun run = await terminal.RunAsync([.. Plain[..^3], "2000", "--format", "plain"]);
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("(stopped)\n", run.Error);
        Assert.Contains("user: ROMEO\nassistant: ", run.Out);
        Assert.Equal(2, terminal.Interrupts);
        Assert.InRange(run.Out.Length, 1, 500);
    }

    [Fact]
    public async Task An_interrupt_where_no_answer_comes_cancels()
    {
        var terminal = new Interruptible("ROMEO") { InterruptsAtTheEnd = true };
        CliRun run = await terminal.RunAsync(Plain);
        Assert.Equal(130, run.ExitCode);
        Assert.Equal((await Chat("ROMEO")).Out, run.Out);
        Assert.EndsWith("cancelled\n", run.Error);
    }

    [Fact]
    public async Task The_process_hears_the_signal_of_a_terminal()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "there is no kill(1) here");
        // As shells start what they put in the background; children inherit it.
        Assert.SkipWhen(IgnoresInterrupts(), "interrupts are ignored here");
        string command = Path.Combine(AppContext.BaseDirectory, "bamba-onnx");
        var start = new ProcessStartInfo(command, ["chat", Model, "--format", "plain", "--max-tokens", "4000"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        await process.StandardInput.WriteLineAsync("ROMEO");
        await process.StandardOutput.ReadBlockAsync(new char[5]);
        await InterruptAsync();
        Assert.Equal("(stopped)", await process.StandardError.ReadLineAsync());
        await process.StandardInput.WriteLineAsync("/undo");
        Assert.StartsWith("(taken back: 0 turns", await process.StandardError.ReadLineAsync());
        // One that comes before the next line is waited for stops the command that has just ended, and nothing else.
        for (int second = 0; second < 60 && !process.HasExited; second += 2)
        {
            await InterruptAsync();
            process.WaitForExit(TimeSpan.FromSeconds(2));
        }
        Assert.True(process.HasExited, "the process waits for a line in spite of interrupts");
        Assert.Equal((130, "cancelled\n"), (process.ExitCode, await process.StandardError.ReadToEndAsync()));

        async Task InterruptAsync()
        {
            using Process kill = Process.Start("kill", ["-INT", $"{process.Id}"]);
            await kill.WaitForExitAsync();
        }
    }

    private static bool IgnoresInterrupts()
    {
        const int Interrupt = 2;
        const string Ignored = "SigIgn:";
        string line = File.ReadLines("/proc/self/status")
            .First(line => line.StartsWith(Ignored, StringComparison.Ordinal));
        ulong mask = ulong.Parse(line[Ignored.Length..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return (mask & (1UL << (Interrupt - 1))) != 0;
    }

    [Fact]
    public async Task Only_who_types_is_prompted()
    {
        var terminal = new Interruptible("ROMEO");
        CliRun run = await terminal.RunAsync(Plain);
        Assert.Equal((await Chat("ROMEO")).Out, run.Out);
        Assert.StartsWith(
            $"({Model}, format plain. /help lists commands, Ctrl+C stops an answer, /exit leaves.)\n> ",
            run.Error
        );
    }

    /// <summary>Somebody who types lines and presses Ctrl+C.</summary>
    private sealed class Interruptible(params string[] lines) : TextReader
    {
        private readonly Queue<string> lines = new(lines);
        private Action interrupt = () => { };

        public Action<string> OnOutput { get; set; } = _ => { };

        public bool InterruptsAtTheEnd { get; init; }

        public int Interrupts { get; private set; }

        private bool Answers { get; set; }

        public void Interrupt()
        {
            // Once an answer; what commands print is none.
            if (Answers)
            {
                Answers = false;
                Interrupts++;
                interrupt();
            }
        }

        public override string? ReadLine()
        {
            if (lines.TryDequeue(out string? line))
            {
                Answers = !line.StartsWith('/');
                return line;
            }
            if (InterruptsAtTheEnd)
            {
                interrupt();
                Thread.Sleep(Timeout.Infinite);
            }
            return null;
        }

        public async Task<CliRun> RunAsync(string[] args)
        {
            var output = new Listener(text => OnOutput(text)) { NewLine = "\n" };
            var error = new StringWriter { NewLine = "\n" };
            var console = new CliConsole(this, output, error, ErrorIsTerminal: false)
            {
                InIsTerminal = true,
                OnInterrupt = action =>
                {
                    interrupt = action;
                    return new MemoryStream();
                },
            };
            int exitCode = await CommandLine.RunAsync(args, console, TestContext.Current.CancellationToken);
            return new CliRun(exitCode, output.ToString(), error.ToString());
        }
    }

    private sealed class Listener(Action<string> onText) : StringWriter(new StringBuilder())
    {
        public override Task WriteAsync(string? value)
        {
            Task written = base.WriteAsync(value);
            onText(value ?? "");
            return written;
        }
    }
}
