using System.CommandLine;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>The model that a command runs, and where and how it runs.</summary>
internal sealed class RuntimeArguments(CliConsole console)
{
    private readonly ExportedModelArguments model = new(ModelArguments.Optional(console));
    private readonly Option<Device> device = DeviceArgument.Create();
    private readonly Option<CustomOps> ops = OpsArgument.Create();
    private readonly Option<int?> threads = new("--threads")
    {
        Description = "Threads of an operator; one a core by default.",
        HelpName = "N",
    };

    public void AddTo(Command command)
    {
        command.Options.Add(device);
        command.Options.Add(threads);
        command.Options.Add(ops);
        model.AddTo(command);
    }

    public async Task<BambaRuntime> LoadAsync(ParseResult parsed, CancellationToken cancellationToken)
    {
        string folder = await model.ResolveAsync(console, parsed, cancellationToken).ConfigureAwait(false);
        return await LoadAsync(folder, parsed, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The exported folder, for a command that has something to do before it loads it.</summary>
    public Task<string> ResolveAsync(ParseResult parsed, CancellationToken cancellationToken) =>
        model.ResolveAsync(console, parsed, cancellationToken);

    public async Task<BambaRuntime> LoadAsync(
        string folder,
        ParseResult parsed,
        CancellationToken cancellationToken,
        string? traceFile = null
    )
    {
        BambaRuntimeOptions options = parsed.GetValue(device).With(parsed.GetRequiredValue(ops)) with
        {
            Threads = parsed.GetValue(threads),
            TraceFile = traceFile,
        };
        return await DeviceNotes.LoadAsync(console, folder, options, cancellationToken).ConfigureAwait(false);
    }
}
