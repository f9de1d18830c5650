using System.CommandLine;
using System.Globalization;
using System.Numerics;
using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>How a command that writes text chooses tokens and when it ends.</summary>
internal sealed class GenerationArguments
{
    private readonly Option<int?> maxTokens = new("--max-tokens", "-n")
    {
        Description = "Tokens to write at most; the model's own habit by default.",
        HelpName = "N",
    };
    private readonly SamplingArguments sampling = new();
    private readonly Option<string[]> stop = new("--stop")
    {
        Description = "Text that ends the writing and is not shown; may be given again.",
        HelpName = "TEXT",
        DefaultValueFactory = _ => [],
    };

    public GenerationArguments() => RefuseNegative(maxTokens);

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

    public void AddTo(Command command)
    {
        command.Options.Add(maxTokens);
        sampling.AddTo(command);
        command.Options.Add(stop);
    }

    public GenerationOptions Read(ParseResult parsed, GenerationDefaults defaults) =>
        new()
        {
            MaxNewTokens = parsed.GetValue(maxTokens),
            Sampling = sampling.Read(parsed, defaults.Sampling),
            StopStrings = [.. parsed.GetValue(stop) ?? []],
        };
}
