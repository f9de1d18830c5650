using System.CommandLine;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>The model that a command loads, and how it is exported where it is a checkpoint.</summary>
internal sealed class ExportedModelArguments(ModelArguments model)
{
    private readonly Option<ElementType> dtype = ExportCommand.DtypeOption();

    public void AddTo(Command command)
    {
        command.Options.Add(dtype);
        model.AddTo(command);
    }

    public ModelRequest Read(ParseResult parsed) => model.Read(parsed);

    /// <summary>The exported folder.</summary>
    public Task<string> ResolveAsync(CliConsole console, ParseResult parsed, CancellationToken cancellationToken) =>
        ModelSource.ResolveAsync(
            console,
            model.Read(parsed),
            new ExportOptions { Dtype = parsed.GetValue(dtype) },
            cancellationToken
        );
}
