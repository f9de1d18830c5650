using System.CommandLine;
using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Cli.Inspection.Page;
using Bamba.Onnx.Cli.Tracing;
using Spectre.Console;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx inspect MODEL</c>.</summary>
internal static class InspectCommand
{
    public static Command Create(CliConsole console)
    {
        var model = new ExportedModelArguments(ModelArguments.Required(console));
        Option<CustomOps> ops = OpsArgument.Create();
        var json = new Option<bool>("--json") { Description = "Print as JSON." };
        var html = new Option<string?>("--html")
        {
            Description = "Write a page that draws the model, and needs nothing but itself.",
            HelpName = "FILE",
        };
        Option<string?> trace = TraceArgument.ToRead();
        var command = new Command("inspect", "Tell what an exported folder holds.") { ops, json, html, trace };
        command.Validators.Add(result =>
        {
            if (result.GetValue(trace) is not null && result.GetValue(html) is null)
            {
                result.AddError("--trace: expected --html as well, which draws it");
            }
        });
        model.AddTo(command);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                string folder = await model.ResolveAsync(console, parsed, cancellationToken).ConfigureAwait(false);
                ModelInspection inspection = ModelInspection.Of(folder, parsed.GetRequiredValue(ops));
                if (parsed.GetValue(html) is { } page)
                {
                    RunTrace? time = parsed.GetValue(trace) is { } written ? RunTrace.Read(written) : null;
                    time?.RequireLayers(inspection.Model.Layers);
                    ModelPage.Write(page, ModelPicture.Of(folder, inspection), time);
                }
                if (parsed.GetValue(json))
                {
                    console.Out.WriteLine(inspection.ToJson());
                }
                else
                {
                    Print(console.Out, inspection);
                }
                return ExitCode.Success;
            }
        );
        return command;
    }

    private static void Print(TextWriter output, ModelInspection it)
    {
        IAnsiConsole terminal = AnsiConsole.Create(
            new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output), Ansi = AnsiSupport.No }
        );
        // Wide enough that a pipe gets whole lines.
        terminal.Profile.Width = 160;
        ModelShape model = it.Model;
        Grid facts = new Grid().AddColumn(new GridColumn().PadRight(4).NoWrap()).AddColumn();
        Row("folder", it.Folder);
        Row("written by", $"{it.Producer}, format {it.FormatVersion}");
        Row("model", $"{it.Parameters:N0} parameters, {it.Dtype}{(it.HasWeights ? "" : ", without weights")}");
        Row(
            "layers",
            $"{model.Layers}, attention in {(model.AttentionLayers.Count == 0 ? "none" : string.Join(", ", model.AttentionLayers))}"
        );
        Row("widths", $"hidden {model.HiddenSize}, MLP {model.IntermediateSize}, vocabulary {model.VocabSize}");
        Row(
            "attention",
            $"{model.AttentionHeads} heads, {model.KeyValueHeads} of keys and values, {model.HeadDim} wide, {model.RotaryDim} rotated"
        );
        Row(
            "Mamba-2",
            $"{model.MambaHeads} heads of {model.MambaHeadDim}, state {model.MambaStateSize}, {model.MambaGroups} groups, convolution {model.MambaConvKernel}"
        );
        Row("context", $"{model.ContextLength:N0} tokens");
        Row(
            "caches",
            $"{it.Caches.StateBytesPerSequence:N0} bytes a sequence and {it.Caches.KeyValueBytesPerToken:N0} bytes a token"
        );
        string files = it.WeightFiles > 1 ? $", in {it.WeightFiles} files" : "";
        Row(
            "weights",
            string.Join(", ", it.WeightBytes.Select(type => $"{type.Value:N0} bytes of {type.Key}")) + files
        );
        if (it.Quantization is { } quantization)
        {
            Row("quantized", quantization);
        }
        Row("needs", $"ONNX Runtime {it.MinimumOnnxruntime} or newer");
        Row("scan", it.Scan);
        terminal.Write(facts);
        foreach (GraphInspection graph in it.Graphs)
        {
            Print(terminal, graph);
        }

        void Row(string name, string value) => facts.AddRow(Markup.Escape(name), Markup.Escape(value));
    }

    private static void Print(IAnsiConsole terminal, GraphInspection graph)
    {
        string opsets = string.Join(", ", graph.Opsets.Select(opset => $"{opset.Key} {opset.Value}"));
        terminal.WriteLine();
        terminal.WriteLine(
            $"{graph.File}: {graph.Bytes:N0} bytes, {graph.Nodes} nodes, at most {graph.MaxNodesPerLayer} a layer; IR {graph.IrVersion}, {opsets}"
        );
        foreach ((string domain, IReadOnlyDictionary<string, int> operators) in graph.Operators)
        {
            terminal.WriteLine($"  {domain}: {string.Join(", ", operators.Select(op => $"{op.Key} × {op.Value}"))}");
        }
        terminal.WriteLine($"  functions: {string.Join(", ", graph.Functions)}");
        terminal.WriteLine(
            $"  inputs: {graph.Inputs[0]}, … {graph.Inputs.Count} in all; outputs: {graph.Outputs[0]}, … {graph.Outputs.Count} in all"
        );
    }
}
