using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;
using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>The options that say how tokens are chosen. What is not given stays the model's own habit.</summary>
internal sealed class SamplingArguments
{
    private readonly List<(Option Option, Func<ParseResult, SamplingOptions, SamplingOptions> Apply)> all = [];

    public SamplingArguments()
    {
        Add<double>(
            "--temperature",
            "T",
            "0 always takes the likeliest token, more is wilder.",
            (sampling, value) => sampling with { Temperature = value },
            "-t"
        );
        Add<int>(
            "--top-k",
            "K",
            "Choose among the K likeliest tokens.",
            (sampling, value) => sampling with { TopK = value }
        );
        Add<double>(
            "--top-p",
            "P",
            "Choose among the likeliest tokens whose probabilities first reach P.",
            (sampling, value) => sampling with { TopP = value }
        );
        Add<double>(
            "--min-p",
            "P",
            "Leave out tokens less likely than P times the likeliest.",
            (sampling, value) => sampling with { MinP = value }
        );
        Add<double>(
            "--typical-p",
            "P",
            "Choose among the tokens nearest to the expected surprise whose probabilities first reach P.",
            (sampling, value) => sampling with { TypicalP = value }
        );
        Add<double>(
            "--repetition-penalty",
            "R",
            "Above 1 makes every token of the text so far less likely.",
            (sampling, value) => sampling with { RepetitionPenalty = value }
        );
        Add<double>(
            "--frequency-penalty",
            "F",
            "Taken from a token's score for each time that it was written.",
            (sampling, value) => sampling with { FrequencyPenalty = value }
        );
        Add<double>(
            "--presence-penalty",
            "F",
            "Taken once from the score of every token that was written.",
            (sampling, value) => sampling with { PresencePenalty = value }
        );
        Add<int>(
            "--no-repeat-ngram",
            "N",
            "Never write the same N tokens in a row twice.",
            (sampling, value) => sampling with { NoRepeatNgramSize = value }
        );
        AddBias();
        Add<ulong>(
            "--seed",
            "S",
            "Makes the random choices repeatable; a fresh one by default.",
            (sampling, value) => sampling with { Seed = value },
            "-s"
        );
    }

    public void AddTo(Command command)
    {
        foreach ((Option option, _) in all)
        {
            command.Options.Add(option);
        }
    }

    /// <summary>A model's habits with what was given on the command line.</summary>
    public SamplingOptions Read(ParseResult parsed, SamplingOptions habits) =>
        all.Aggregate(habits, (sampling, option) => option.Apply(parsed, sampling));

    private void Add<T>(
        string name,
        string helpName,
        string description,
        Func<SamplingOptions, T, SamplingOptions> set,
        params string[] aliases
    )
        where T : struct, INumber<T>
    {
        var option = new Option<T?>(name, aliases) { Description = description, HelpName = helpName };
        option.Validators.Add(result =>
        {
            // A value that is no number gets an error of its own.
            if (result.Tokens is [{ Value: var text }] && T.TryParse(text, CultureInfo.InvariantCulture, out T value))
            {
                Check(result, name, () => set(SamplingOptions.Greedy, value));
            }
        });
        all.Add((option, (parsed, sampling) => parsed.GetValue(option) is { } value ? set(sampling, value) : sampling));
    }

    private void AddBias()
    {
        var option = new Option<string[]>("--logit-bias")
        {
            Description = "Added to the score of a token, -inf forbids it; may be given again.",
            HelpName = "ID=BIAS",
            DefaultValueFactory = _ => [],
        };
        option.Validators.Add(result =>
            Check(
                result,
                option.Name,
                () => WithBias(SamplingOptions.Greedy, result.Tokens.Select(token => token.Value))
            )
        );
        all.Add((option, (parsed, sampling) => WithBias(sampling, parsed.GetValue(option) ?? [])));
    }

    private static SamplingOptions WithBias(SamplingOptions sampling, IEnumerable<string> given)
    {
        var bias = new Dictionary<int, float>(sampling.LogitBias);
        foreach (string entry in given)
        {
            string[] parts = entry.Split('=');
            if (
                parts.Length != 2
                || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int id)
                || !TryParseBias(parts[1], out float value)
            )
            {
                throw new ArgumentException($"expected a token id, '=' and a number, found {entry}");
            }
            bias[id] = value;
        }
        return sampling with { LogitBias = bias };
    }

    private static bool TryParseBias(string text, out float value)
    {
        value = text is "-inf" ? float.NegativeInfinity : float.PositiveInfinity;
        return text is "inf" or "-inf"
            || float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value);
    }

    /// <summary>Lets the library say what it expects, in the name of the option.</summary>
    private static void Check(OptionResult result, string name, Func<SamplingOptions> build)
    {
        try
        {
            build();
        }
        catch (ArgumentException e)
        {
            result.AddError($"{name}: {CommandLine.WithoutParameter(e)}");
        }
    }
}
