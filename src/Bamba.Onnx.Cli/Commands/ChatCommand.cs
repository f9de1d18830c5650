using System.CommandLine;
using Bamba.Onnx.Chat;
using Bamba.Onnx.Cli.Conversation;
using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx chat [MODEL]</c>.</summary>
internal sealed class ChatCommand
{
    public const string Name = "chat";

    private readonly RuntimeArguments runtimeArguments;
    private readonly GenerationArguments generation = new();
    private readonly Option<string?> system = new("--system")
    {
        Description = "What the model is told before the first turn.",
        HelpName = "TEXT",
    };
    private readonly Option<string?> format = new Option<string?>("--format")
    {
        Description = "How turns are written for the model; by default as its chat template has it, plain without one.",
    }.AcceptOnlyFromAmong([.. ChatFormat.All.Select(format => format.Name)]);

    private ChatCommand(CliConsole console)
    {
        runtimeArguments = new RuntimeArguments(console);
    }

    public static Command Create(CliConsole console)
    {
        var it = new ChatCommand(console);
        var command = new Command(Name, "Talk with a model, turn by turn.") { it.system, it.format };
        it.generation.AddTo(command);
        it.runtimeArguments.AddTo(command);
        command.SetAction((parsed, cancellationToken) => it.RunAsync(console, parsed, cancellationToken));
        return command;
    }

    private async Task<int> RunAsync(CliConsole console, ParseResult parsed, CancellationToken cancellationToken)
    {
        using var interrupts = new Interrupts(console, cancellationToken);
        using BambaRuntime runtime = await runtimeArguments.LoadAsync(parsed, interrupts.Token).ConfigureAwait(false);
        using var chat = new ChatSession(
            runtime,
            new ChatOptions
            {
                Format = parsed.GetValue(format) is { } name ? ChatFormat.Named(name) : null,
                SystemPrompt = parsed.GetValue(system),
            }
        );
        GenerationOptions options = generation.Read(parsed, runtime.Defaults);
        await new TerminalChat(console, chat, options, interrupts).RunAsync().ConfigureAwait(false);
        return ExitCode.Success;
    }
}
