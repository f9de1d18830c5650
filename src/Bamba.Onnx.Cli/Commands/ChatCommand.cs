using System.CommandLine;
using Bamba.Onnx.Chat;
using Bamba.Onnx.Cli.Conversation;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx chat [MODEL]</c>.</summary>
internal sealed class ChatCommand
{
    public const string Name = "chat";

    private readonly ModelArguments model;
    private readonly Option<string?> system = new("--system")
    {
        Description = "What the model is told before the first turn.",
        HelpName = "TEXT",
    };
    private readonly Option<string?> format = new Option<string?>("--format")
    {
        Description = "How turns are written for the model; by default as its chat template has it, plain without one.",
    }.AcceptOnlyFromAmong([.. ChatFormat.All.Select(format => format.Name)]);
    private readonly Option<int?> maxTokens = new("--max-tokens", "-n")
    {
        Description = "Tokens of an answer at most; the model's own habit by default.",
        HelpName = "N",
    };
    private readonly SamplingArguments sampling = new();
    private readonly Option<string[]> stop = new("--stop")
    {
        Description = "Text that ends an answer and is not shown; may be given again.",
        HelpName = "TEXT",
        DefaultValueFactory = _ => [],
    };
    private readonly Option<string> device = new Option<string>("--device")
    {
        Description = "Where the model runs; auto takes the best there is. This version runs on the processor.",
        DefaultValueFactory = _ => "auto",
    }.AcceptOnlyFromAmong("auto", "cpu");
    private readonly Option<int?> threads = new("--threads")
    {
        Description = "Threads of an operator; one a core by default.",
        HelpName = "N",
    };
    private readonly Option<ElementType> dtype = ExportCommand.DtypeOption();

    private ChatCommand(CliConsole console)
    {
        model = ModelArguments.Optional(console);
        RunCommand.RefuseNegative(maxTokens);
    }

    public static Command Create(CliConsole console)
    {
        var it = new ChatCommand(console);
        var command = new Command(Name, "Talk with a model, turn by turn.") { it.system, it.format, it.maxTokens };
        it.sampling.AddTo(command);
        foreach (Option option in (Option[])[it.stop, it.device, it.threads, it.dtype])
        {
            command.Options.Add(option);
        }
        it.model.AddTo(command);
        command.SetAction((parsed, cancellationToken) => it.RunAsync(console, parsed, cancellationToken));
        return command;
    }

    private async Task<int> RunAsync(CliConsole console, ParseResult parsed, CancellationToken cancellationToken)
    {
        using var interrupts = new Interrupts(console, cancellationToken);
        var exportOptions = new ExportOptions { Dtype = parsed.GetValue(dtype) };
        string folder = await ModelSource
            .ResolveAsync(console, model.Read(parsed), exportOptions, interrupts.Token)
            .ConfigureAwait(false);
        using BambaRuntime runtime = await BambaRuntime
            .LoadAsync(folder, new BambaRuntimeOptions { Threads = parsed.GetValue(threads) }, interrupts.Token)
            .ConfigureAwait(false);
        using var chat = new ChatSession(
            runtime,
            new ChatOptions
            {
                Format = parsed.GetValue(format) is { } name ? ChatFormat.Named(name) : null,
                SystemPrompt = parsed.GetValue(system),
            }
        );
        var options = new GenerationOptions
        {
            MaxNewTokens = parsed.GetValue(maxTokens),
            Sampling = sampling.Read(parsed, runtime.Defaults.Sampling),
            StopStrings = [.. parsed.GetValue(stop) ?? []],
        };
        await new TerminalChat(console, chat, options, interrupts).RunAsync().ConfigureAwait(false);
        return ExitCode.Success;
    }
}
