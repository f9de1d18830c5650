using System.CommandLine;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx run [MODEL] --prompt TEXT</c>.</summary>
internal static class RunCommand
{
    public static Command Create(CliConsole console)
    {
        var runtimeArguments = new RuntimeArguments(console);
        var generation = new GenerationArguments();
        var prompt = new Option<string?>("--prompt", "-p")
        {
            Description = "The text to continue; without it standard input.",
            HelpName = "TEXT",
        };
        var ignoreEos = new Option<bool>("--ignore-eos") { Description = "Write on past the model's end tokens." };
        var logprobs = new Option<int?>("--logprobs")
        {
            Description = "With --json: each token's log probability and its N likeliest alternatives.",
            HelpName = "N",
        };
        GenerationArguments.RefuseNegative(logprobs);
        var json = new Option<bool>("--json") { Description = "Write an event a line: start, each token, end." };
        Option<string?> trace = TraceArgument.ToWrite();
        var command = new Command("run", "Continue a text.") { prompt };
        generation.AddTo(command);
        foreach (Option option in (Option[])[ignoreEos, logprobs, json, trace])
        {
            command.Options.Add(option);
        }
        runtimeArguments.AddTo(command);
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                string folder = await runtimeArguments.ResolveAsync(parsed, cancellationToken).ConfigureAwait(false);
                string text =
                    parsed.GetValue(prompt) ?? await console.In.ReadToEndAsync(cancellationToken).ConfigureAwait(false);
                if (text.Length == 0)
                {
                    throw new ArgumentException(
                        "expected a prompt, by --prompt or on standard input, found an empty one"
                    );
                }
                using BambaRuntime runtime = await runtimeArguments
                    .LoadAsync(folder, parsed, cancellationToken, parsed.GetValue(trace))
                    .ConfigureAwait(false);
                GenerationOptions options = generation.Read(parsed, runtime.Defaults) with
                {
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
