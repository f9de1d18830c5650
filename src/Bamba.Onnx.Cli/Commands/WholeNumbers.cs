using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>Options that take whole numbers, and say what they expected where they get something else.</summary>
internal static class WholeNumbers
{
    /// <summary>An option of one number, of at least 1.</summary>
    public static Option<int> Option(string name, string description, Func<int> standard, params string[] aliases) =>
        new(name, aliases)
        {
            Description = description,
            HelpName = "N",
            DefaultValueFactory = _ => standard(),
            CustomParser = argument => Read(argument, [argument.Tokens[0].Value], name, 1).FirstOrDefault(),
        };

    /// <summary>The numbers of an argument's parts, up to the first that is none.</summary>
    public static IEnumerable<int> Read(ArgumentResult argument, string[] parts, string name, int least)
    {
        foreach (string part in parts)
        {
            if (!int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number < least)
            {
                argument.AddError($"{name}: expected a whole number of at least {least}, found '{part}'");
                yield break;
            }
            yield return number;
        }
    }
}
