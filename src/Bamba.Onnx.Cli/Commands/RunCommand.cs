using System.CommandLine;
using System.Globalization;
using System.Numerics;
using Bamba.Onnx.Cli.Completion;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx run [FOLDER_OR_CHECKPOINT] --prompt TEXT</c>.</summary>
internal static class RunCommand
{
    public static Command Create(CliConsole console)
    {
        var model = new Argument<string?>("FOLDER_OR_CHECKPOINT")
        {
            Description =
                "An exported folder, or a checkpoint, which is exported to a cache first; without it the small model that comes along.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var prompt = new Option<string?>("--prompt", "-p")
        {
            Description = "The text to continue; without it standard input.",
            HelpName = "TEXT",
        };
        var maxTokens = new Option<int?>("--max-tokens", "-n")
        {
            Description = "Tokens to write at most; the model's own habit by default.",
            HelpName = "N",
        };
        var temperature = new Option<double?>("--temperature", "-t")
        {
            Description = "0 always takes the likeliest token, more is wilder; the model's own habit by default.",
            HelpName = "T",
        };
        var seed = new Option<ulong?>("--seed", "-s")
        {
            Description = "Makes the random choices repeatable; a fresh one by default.",
            HelpName = "S",
        };
        RefuseNegative(maxTokens);
        RefuseNegative(temperature);
        Option<ElementType> dtype = ExportCommand.DtypeOption();
        var command = new Command("run", "Continue a text.") { model, prompt, maxTokens, temperature, seed, dtype };
        model.CompleteFolders();
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                string folder = ModelSource.Resolve(
                    console,
                    parsed.GetValue(model),
                    new ExportOptions { Dtype = parsed.GetValue(dtype) },
                    cancellationToken
                );
                string text =
                    parsed.GetValue(prompt) ?? await console.In.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
                if (text.Length == 0)
                {
                    throw new ArgumentException(
                        "expected a prompt, by --prompt or on standard input, found an empty one"
                    );
                }
                using BambaRuntime runtime = BambaRuntime.Load(folder);
                SamplingOptions sampling = runtime.Defaults.Sampling;
                if (parsed.GetValue(temperature) is { } chosen)
                {
                    sampling = sampling with { Temperature = chosen };
                }
                var options = new GenerationOptions
                {
                    MaxNewTokens = parsed.GetValue(maxTokens),
                    Sampling = sampling with { Seed = parsed.GetValue(seed) },
                };
                await WriteAsync(console, runtime, text, options, cancellationToken).ConfigureAwait(false);
                return ExitCode.Success;
            }
        );
        return command;
    }

    private static void RefuseNegative<T>(Option<T?> option)
        where T : struct, INumber<T> =>
        option.Validators.Add(result =>
        {
            // A value that is no number gets an error of its own.
            if (
                result.Tokens is [{ Value: var text }]
                && T.TryParse(text, CultureInfo.InvariantCulture, out T value)
                && !(value >= T.Zero)
            )
            {
                result.AddError($"{option.Name}: expected a number that is not negative, found {text}");
            }
        });

    private static async Task WriteAsync(
        CliConsole console,
        BambaRuntime runtime,
        string prompt,
        GenerationOptions options,
        CancellationToken cancellationToken
    )
    {
        bool started = false;
        char last = prompt[^1];
        await foreach (string piece in runtime.GenerateAsync(prompt, options, cancellationToken).ConfigureAwait(false))
        {
            // The prompt is echoed once the model has taken it, so that a refused prompt prints nothing.
            await console.Out.WriteAsync(started ? piece : prompt + piece).ConfigureAwait(false);
            (started, last) = (true, piece[^1]);
        }
        if (!started)
        {
            await console.Out.WriteAsync(prompt).ConfigureAwait(false);
        }
        if (last != '\n')
        {
            await console.Out.WriteLineAsync().ConfigureAwait(false);
        }
    }
}
