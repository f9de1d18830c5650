using System.CommandLine;
using System.Globalization;
using Bamba.Onnx.Cli.Completion;
using Bamba.Onnx.Cli.LibTorch;
using Bamba.Onnx.Cli.Quality;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Hub;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx export CHECKPOINT -o FOLDER</c>.</summary>
internal static class ExportCommand
{
    /// <summary>What <c>--quality-text</c> found, in the model's folder.</summary>
    private const string ReportFile = "quality.json";

    public static Command Create(CliConsole console)
    {
        var checkpoint = ModelArguments.Required(
            console,
            "CHECKPOINT",
            "A folder with config.json and safetensors weights, or a Hugging Face id: owner/name[@revision]."
        );
        var output = new Option<string>("--output", "-o")
        {
            Description = "The model folder to write; an earlier export there is replaced when the new one is whole.",
            HelpName = "FOLDER",
            Required = true,
        };
        Option<ElementType> dtype = DtypeOption();
        Option<GraphProfile[]> profiles = ProfilesOption();
        var quantization = new QuantizationArguments();
        var noWeights = new Option<bool>("--no-weights")
        {
            Description = "Write graphs and configuration only; config.json is then all that CHECKPOINT needs.",
        };
        Option<string?> logits = new Option<string?>("--logits")
        {
            Description =
                "Positions with logits: every one, or each row's last real token. By default all in model.onnx, last in the others.",
        }.AcceptOnlyFromAmong("all", "last");
        var hiddenStates = new Option<bool>("--output-hidden-states")
        {
            Description = "Add the outputs hidden_states.{i}: embeddings, each layer's, and the final-normed last.",
        };
        var contextLength = new Option<int?>("--context-length")
        {
            Description = "Most tokens of a sequence; the model's max_position_embeddings by default.",
            HelpName = "TOKENS",
        };
        var maxShardSize = new Option<long?>("--max-shard-size")
        {
            Description =
                "Split the weights over files of at most this size, such as 4GB or 500MB; a tensor of more has one of its own. One file by default; with --profiles web at most 2 GiB less 2 MiB, a browser's largest buffer.",
            HelpName = "SIZE",
            CustomParser = argument =>
            {
                string size = argument.Tokens.Count == 1 ? argument.Tokens[0].Value : "";
                if (!ByteSize.TryParse(size, out long bytes))
                {
                    argument.AddError($"--max-shard-size: expected a size such as 4GB, 500MB or 2GiB, found '{size}'");
                }
                return bytes;
            },
        };
        var qualityText = new Option<string?>("--quality-text")
        {
            Description =
                "Compare the export with one in float32 on this text, as bamba-onnx quality does, and write quality.json into FOLDER.",
            HelpName = "FILE",
        };
        var command = new Command(
            "export",
            "Write a checkpoint as ONNX: for any host, for Bamba.Onnx, for transformers.js."
        )
        {
            output,
            dtype,
            profiles,
            noWeights,
            logits,
            hiddenStates,
            contextLength,
            maxShardSize,
        };
        quantization.AddTo(command);
        command.Add(qualityText);
        command.Validators.Add(result =>
        {
            if (result.GetValue(noWeights) && result.GetValue(qualityText) is not null)
            {
                result.AddError("--quality-text: expected an export with weights, found --no-weights");
            }
        });
        checkpoint.AddTo(command);
        output.CompleteFolders();
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var options = new ExportOptions
                {
                    Dtype = parsed.GetValue(dtype),
                    // System.CommandLine takes an option that is not there for an empty list.
                    Profiles = parsed.GetValue(profiles) is { Length: > 0 } chosen ? chosen : null,
                    Quantization = quantization.Read(parsed),
                    Weights = !parsed.GetValue(noWeights),
                    Logits = parsed.GetValue(logits) switch
                    {
                        "all" => LogitsPositions.All,
                        "last" => LogitsPositions.Last,
                        _ => null,
                    },
                    OutputHiddenStates = parsed.GetValue(hiddenStates),
                    ContextLength = parsed.GetValue(contextLength),
                    MaxShardBytes = parsed.GetValue(maxShardSize),
                };
                string target = parsed.GetRequiredValue(output);
                quantization.RequireCalibration(parsed);
                TextFile.RequireReadable(parsed.GetValue(qualityText));
                string source = await FolderOfAsync(console, checkpoint.Read(parsed), options, cancellationToken)
                    .ConfigureAwait(false);
                options = options with { CalibrationTokens = quantization.ReadCalibration(parsed, source) };
                ModelManifest manifest = Run(console, source, target, options, cancellationToken);
                console.Out.WriteLine(Path.GetFullPath(target));
                console.Error.WriteLine(
                    $"exported {manifest.Parameters:N0} parameters as {manifest.Options.Dtype.ShortName()}{Quantized(manifest)}, {manifest.Files.Sum(file => file.Bytes):N0} bytes"
                );
                foreach (ManifestFile file in LargerThanAsked(manifest, options))
                {
                    console.Error.WriteLine(
                        $"{file.Name} has {file.Bytes:N0} bytes, more than {manifest.Layout.MostFileBytes(options.MaxShardBytes):N0}: a tensor is never split"
                    );
                }
                if (parsed.GetValue(qualityText) is { } text)
                {
                    await CheckQualityAsync(console, (source, target), text, cancellationToken).ConfigureAwait(false);
                }
                return ExitCode.Success;
            }
        );
        return command;
    }

    /// <summary>Exports with a progress display.</summary>
    public static ModelManifest Run(
        CliConsole console,
        string checkpoint,
        string target,
        ExportOptions options,
        CancellationToken cancellationToken
    )
    {
        LibTorchSource.EnsureLoaded(console, cancellationToken);
        using var progress = new ExportProgressDisplay(console);
        return BambaExporter.Export(checkpoint, target, options, progress, cancellationToken);
    }

    private static IEnumerable<ManifestFile> LargerThanAsked(ModelManifest manifest, ExportOptions options) =>
        manifest.Files.Where(file =>
            manifest.Layout.IsWeights(file.Name) && file.Bytes > manifest.Layout.MostFileBytes(options.MaxShardBytes)
        );

    /// <summary>What to say of matrices with fewer bits.</summary>
    private static string Quantized(ModelManifest manifest)
    {
        string error = QuantizationSummary.MeanRelativeError(manifest) is { } mean
            ? string.Create(CultureInfo.InvariantCulture, $" (mean relative error {100 * mean:F1} %)")
            : "";
        return QuantizationSummary.Of(manifest) is { } summary ? $", {summary}{error}" : "";
    }

    /// <summary>Compares what was exported with the checkpoint's float32 export, which is kept for the next time.</summary>
    private static async Task CheckQualityAsync(
        CliConsole console,
        (string Checkpoint, string Target) folders,
        string text,
        CancellationToken cancellationToken
    )
    {
        string reference = await ModelSource
            .ResolveAsync(console, new ModelRequest(folders.Checkpoint), cancellationToken)
            .ConfigureAwait(false);
        QualityReport report = QualityCheck.Run(
            console,
            folders.Target,
            reference,
            text,
            new QualityLimits(),
            new BambaRuntimeOptions(),
            cancellationToken
        );
        await File.WriteAllTextAsync(Path.Combine(folders.Target, ReportFile), report.ToJson(), cancellationToken)
            .ConfigureAwait(false);
        QualityTable.Write(console.Error, report);
    }

    private static async Task<string> FolderOfAsync(
        CliConsole console,
        ModelRequest request,
        ExportOptions options,
        CancellationToken cancellationToken
    )
    {
        HubContent content = options.Weights ? HubContent.Model : HubContent.WithoutWeights;
        LocatedModel located = await ModelSource
            .LocateAsync(console, request, content, cancellationToken)
            .ConfigureAwait(false);
        return located.IsExported
            ? throw new BambaFormatException(located.Folder, "expected a checkpoint, found an exported model")
            : located.Folder;
    }

    /// <summary>The graphs, those for any host and for Bamba.Onnx by default.</summary>
    private static Option<GraphProfile[]> ProfilesOption()
    {
        string[] names = [.. Enum.GetNames<GraphProfile>().Select(name => name.ToLowerInvariant())];
        var option = new Option<GraphProfile[]>("--profiles")
        {
            Description =
                "The graphs to write, separated by commas: portable for any host, runtime for Bamba.Onnx, web for transformers.js; portable,runtime by default.",
            HelpName = "portable,runtime,web",
            CustomParser = argument =>
            {
                string[] found = [.. argument.Tokens.SelectMany(token => token.Value.Split(','))];
                if (found.FirstOrDefault(name => !names.Contains(name)) is { } unknown)
                {
                    argument.AddError($"--profiles: expected some of {string.Join(", ", names)}, found '{unknown}'");
                    return [];
                }
                return [.. found.Select(name => Enum.Parse<GraphProfile>(name, ignoreCase: true))];
            },
        };
        option.CompletionSources.Clear();
        option.CompletionSources.Add([.. names, "portable,runtime,web"]);
        return option;
    }

    /// <summary>The element type, f32 by default.</summary>
    public static Option<ElementType> DtypeOption()
    {
        var option = new Option<ElementType>("--dtype")
        {
            // The default is the enum's first; a factory for it would show in the help under the enum's name.
            Description =
                "Element type of weights and activations, f32 by default. CPU runs f32 and f16; bf16 needs CUDA.",
            HelpName = "f32|f16|bf16",
            CustomParser = argument =>
            {
                string name = argument.Tokens.Count == 1 ? argument.Tokens[0].Value : "";
                if (name is not ("f32" or "f16" or "bf16") || !ElementTypes.TryParse(name, out ElementType type))
                {
                    argument.AddError($"--dtype: expected f32, f16 or bf16, found '{name}'");
                    return default;
                }
                return type;
            },
        };
        option.CompletionSources.Clear();
        option.CompletionSources.Add("f32", "f16", "bf16");
        return option;
    }
}
