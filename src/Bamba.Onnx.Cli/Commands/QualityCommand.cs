using System.CommandLine;
using Bamba.Onnx.Cli.Completion;
using Bamba.Onnx.Cli.Quality;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx quality MODEL --against REFERENCE --text FILE</c>.</summary>
internal sealed class QualityCommand
{
    private static readonly QualityLimits Standard = new();

    private readonly ExportedModelArguments model;
    private readonly Option<string> against = new("--against")
    {
        Description =
            "The model to compare with: an exported folder; or a checkpoint folder or an id, of which the float32 export is taken.",
        HelpName = "REFERENCE",
        Required = true,
    };
    private readonly Option<string> text = new("--text")
    {
        Description = "A file of text, UTF-8, best one that no model was trained on.",
        HelpName = "FILE",
        Required = true,
    };
    private readonly Option<int> maxTokens = WholeNumbers.Option(
        "--max-tokens",
        "Tokens to score at most.",
        () => Standard.Tokens
    );
    private readonly Option<int> maxSeconds = WholeNumbers.Option(
        "--max-seconds",
        "Time to spend at most, loading included; the reference gets half of it.",
        () => (int)Standard.Time.TotalSeconds
    );
    private readonly Option<int> window = WholeNumbers.Option(
        "--window",
        "Tokens that are read together; each window begins without a past.",
        () => Standard.Window
    );
    private readonly Option<Device> device = DeviceArgument.Create();
    private readonly Option<CustomOps> ops = OpsArgument.Create();
    private readonly Option<bool> json = new("--json") { Description = "Print the result as JSON." };

    private QualityCommand(CliConsole console)
    {
        model = new ExportedModelArguments(ModelArguments.Required(console));
    }

    public static Command Create(CliConsole console)
    {
        var it = new QualityCommand(console);
        var command = new Command("quality", "Tell how much a model differs on text from the one it was made from.")
        {
            it.against,
            it.text,
            it.maxTokens,
            it.maxSeconds,
            it.window,
            it.device,
            it.ops,
            it.json,
        };
        it.model.AddTo(command);
        it.against.CompleteModels(console);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                await it.RunAsync(console, parsed, cancellationToken).ConfigureAwait(false);
                return ExitCode.Success;
            }
        );
        return command;
    }

    private async Task RunAsync(CliConsole console, ParseResult parsed, CancellationToken cancellationToken)
    {
        // Either model may have to be exported first.
        TextFile.RequireReadable(parsed.GetRequiredValue(text));
        string folder = await model.ResolveAsync(console, parsed, cancellationToken).ConfigureAwait(false);
        string reference = await ModelSource
            .ResolveAsync(
                console,
                new ModelRequest(parsed.GetRequiredValue(against), Download: model.Read(parsed).Download),
                cancellationToken
            )
            .ConfigureAwait(false);
        QualityReport report = QualityCheck.Run(
            console,
            folder,
            reference,
            parsed.GetRequiredValue(text),
            new QualityLimits
            {
                Tokens = parsed.GetValue(maxTokens),
                Window = parsed.GetValue(window),
                Time = TimeSpan.FromSeconds(parsed.GetValue(maxSeconds)),
            },
            parsed.GetValue(device).With(parsed.GetRequiredValue(ops)),
            cancellationToken
        );
        if (parsed.GetValue(json))
        {
            await console.Out.WriteLineAsync(report.ToJson()).ConfigureAwait(false);
        }
        else
        {
            QualityTable.Write(console.Out, report);
        }
    }
}
