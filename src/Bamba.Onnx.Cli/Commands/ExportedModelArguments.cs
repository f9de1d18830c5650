using System.CommandLine;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Hub;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>The model that a command loads, and how it is exported where it is a checkpoint.</summary>
internal sealed class ExportedModelArguments(ModelArguments model)
{
    private readonly Option<ElementType> dtype = ExportCommand.DtypeOption();
    private readonly QuantizationArguments quantization = new();

    public void AddTo(Command command)
    {
        command.Options.Add(dtype);
        quantization.AddTo(command);
        model.AddTo(command);
    }

    public ModelRequest Read(ParseResult parsed) => model.Read(parsed);

    /// <summary>The exported folder.</summary>
    /// <exception cref="ArgumentException">An option says how to export a model that is exported already.</exception>
    public async Task<string> ResolveAsync(CliConsole console, ParseResult parsed, CancellationToken cancellationToken)
    {
        var form = new ExportForm(parsed.GetValue(dtype), quantization.Describe(parsed));
        ModelRequest request = model.Read(parsed);
        LocatedModel located = await ModelSource
            .LocateAsync(console, request, HubContent.Model, cancellationToken)
            .ConfigureAwait(false);
        if (located.IsExported)
        {
            return FirstGiven(parsed) is { } option
                ? throw new ArgumentException(
                    $"{option}: expected a checkpoint, which is exported as the option says, found an exported model, {located.Folder}"
                )
                : located.Folder;
        }
        return await ModelSource
            .ExportAsync(console, request, located, form, OptionsFor, cancellationToken)
            .ConfigureAwait(false);

        ExportOptions OptionsFor(string checkpoint) =>
            new()
            {
                Dtype = form.Dtype,
                Quantization = quantization.Read(parsed),
                CalibrationTokens = quantization.ReadCalibration(parsed, checkpoint),
            };
    }

    private string? FirstGiven(ParseResult parsed) =>
        parsed.GetResult(dtype) is { Implicit: false } ? dtype.Name : quantization.FirstGiven(parsed);
}
