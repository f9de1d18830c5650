using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx run [MODEL] --prompt TEXT</c>.</summary>
internal static class RunCommand
{
    public static Command Create(CliConsole console)
    {
        var model = ModelArguments.Optional(console);
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
        RefuseNegative(maxTokens);
        var sampling = new SamplingArguments();
        var stop = new Option<string[]>("--stop")
        {
            Description = "Text that ends the writing and is not shown; may be given again.",
            HelpName = "TEXT",
            DefaultValueFactory = _ => [],
        };
        var ignoreEos = new Option<bool>("--ignore-eos") { Description = "Write on past the model's end tokens." };
        var logprobs = new Option<int?>("--logprobs")
        {
            Description = "With --json: each token's log probability and its N likeliest alternatives.",
            HelpName = "N",
        };
        RefuseNegative(logprobs);
        var threads = new Option<int?>("--threads")
        {
            Description = "Threads of an operator; one a core by default.",
            HelpName = "N",
        };
        var device = new Option<string>("--device")
        {
            Description = "Where the model runs; auto takes the best there is. This version runs on the processor.",
            DefaultValueFactory = _ => "auto",
        }.AcceptOnlyFromAmong("auto", "cpu");
        var json = new Option<bool>("--json") { Description = "Write an event a line: start, each token, end." };
        Option<ElementType> dtype = ExportCommand.DtypeOption();
        var command = new Command("run", "Continue a text.") { prompt, maxTokens };
        sampling.AddTo(command);
        foreach (Option option in (Option[])[stop, ignoreEos, logprobs, json, device, threads, dtype])
        {
            command.Options.Add(option);
        }
        model.AddTo(command);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                var exportOptions = new ExportOptions { Dtype = parsed.GetValue(dtype) };
                string folder = await ModelSource
                    .ResolveAsync(console, model.Read(parsed), exportOptions, cancellationToken)
                    .ConfigureAwait(false);
                string text =
                    parsed.GetValue(prompt) ?? await console.In.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
                if (text.Length == 0)
                {
                    throw new ArgumentException(
                        "expected a prompt, by --prompt or on standard input, found an empty one"
                    );
                }
                var runtimeOptions = new BambaRuntimeOptions { Threads = parsed.GetValue(threads) };
                using BambaRuntime runtime = await BambaRuntime
                    .LoadAsync(folder, runtimeOptions, cancellationToken)
                    .ConfigureAwait(false);
                var options = new GenerationOptions
                {
                    MaxNewTokens = parsed.GetValue(maxTokens),
                    Sampling = sampling.Read(parsed, runtime.Defaults.Sampling),
                    StopStrings = [.. parsed.GetValue(stop) ?? []],
                    EosTokenIds = parsed.GetValue(ignoreEos) ? [] : null,
                    LogProbabilities = parsed.GetValue(logprobs),
                };
                await (
                    parsed.GetValue(json)
                        ? WriteEventsAsync(console, runtime, text, options, cancellationToken)
                        : WriteTextAsync(console, runtime, text, options, cancellationToken)
                ).ConfigureAwait(false);
                return ExitCode.Success;
            }
        );
        return command;
    }

    /// <summary>Lets an option take no number below zero.</summary>
    public static void RefuseNegative<T>(Option<T?> option)
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

    private static async Task WriteTextAsync(
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

    private static async Task WriteEventsAsync(
        CliConsole console,
        BambaRuntime runtime,
        string prompt,
        GenerationOptions options,
        CancellationToken cancellationToken
    )
    {
        // Drawn here and not by the sampler, so that a text that turned out well can be had again.
        ulong seed = options.Sampling!.Seed ?? BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong)));
        options = options with { Sampling = options.Sampling with { Seed = seed } };
        int promptTokens = runtime.Tokenizer.Encode(prompt).Length;
        long start = Stopwatch.GetTimestamp();
        TimeSpan first = TimeSpan.Zero;
        var text = new StringBuilder();
        int count = 0;
        FinishReason? reason = null;
        await WriteAsync(new StartEvent(runtime.Folder, promptTokens, seed)).ConfigureAwait(false);
        await foreach (
            GeneratedToken token in runtime
                .GenerateTokensAsync([prompt], options, cancellationToken)
                .ConfigureAwait(false)
        )
        {
            first = count++ == 0 ? Stopwatch.GetElapsedTime(start) : first;
            text.Append(token.Text);
            reason = token.FinishReason;
            await WriteAsync(TokenEvent.Of(token)).ConfigureAwait(false);
        }
        double seconds = (Stopwatch.GetElapsedTime(start) - first).TotalSeconds;
        double? speed = count > 1 ? (count - 1) / seconds : null;
        await WriteAsync(new EndEvent(text.ToString(), reason, count, first.TotalSeconds, speed)).ConfigureAwait(false);

        Task WriteAsync(RunEvent written) => console.Out.WriteLineAsync(written.ToJson());
    }
}
