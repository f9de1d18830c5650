using System.CommandLine;
using System.CommandLine.Parsing;

namespace Bamba.Onnx.Cli.Completion;

/// <summary>
/// What may stand at the end of a command line. System.CommandLine's own proposals mix options with values at every place,
/// and break at <c>--option=</c>; here a place has one kind: a value where an option waits for one, else a subcommand or an
/// argument, else an option.
/// </summary>
internal static class Proposals
{
    /// <summary>The proposals for the last word of a line; a line that ends with a space has an empty last word.</summary>
    /// <param name="root">The command.</param>
    /// <param name="line">The line from the command's name on, words with spaces in double quotes.</param>
    public static IReadOnlyList<string> For(RootCommand root, string line)
    {
        string[] words = [.. CommandLineParser.SplitCommandLine(line).Skip(1)];
        bool begun = words.Length > 0 && !char.IsWhiteSpace(line[^1]);
        return begun ? For(root, words[..^1], words[^1]) : For(root, words, "");
    }

    private static string[] For(RootCommand root, string[] earlier, string current)
    {
        ParseResult before = root.Parse(earlier);
        Command command = before.CommandResult.Command;
        Option[] options = [.. OptionsOf(before.CommandResult).Where(option => !option.Hidden)];
        int equals = current.IndexOf('=', StringComparison.Ordinal);
        if (equals > 0 && Find(options, current[..equals]) is { } assigned)
        {
            string start = current[..(equals + 1)];
            return [.. Values(root, assigned, current[start.Length..]).Select(value => start + value)];
        }
        if (earlier.Length > 0 && Find(options, earlier[^1]) is { } waiting && TakesValue(waiting))
        {
            return Values(root, waiting, current);
        }
        IEnumerable<Option> unused = options.Where(option => before.GetResult(option) is null or { Implicit: true });
        if (current.StartsWith('-'))
        {
            return Matching(unused.SelectMany(NamesOf), current);
        }
        Argument? next = command.Arguments.FirstOrDefault(argument =>
            (before.GetResult(argument)?.Tokens.Count ?? 0) < argument.Arity.MaximumNumberOfValues
        );
        string[] places =
        [
            .. command.Subcommands.Where(subcommand => !subcommand.Hidden).Select(subcommand => subcommand.Name),
            .. next is null ? [] : Values(root, next, current),
        ];
        return places.Length > 0 || current.Length > 0
            ? Matching(places, current)
            : Matching(unused.Select(option => option.Name), current);
    }

    private static IEnumerable<Option> OptionsOf(CommandResult place)
    {
        IEnumerable<Option> own = place.Command.Options;
        return place.Parent is CommandResult parent
            ? own.Concat(OptionsOf(parent).Where(option => option.Recursive))
            : own;
    }

    private static Option? Find(IEnumerable<Option> options, string name) =>
        options.FirstOrDefault(option => option.Name == name || option.Aliases.Contains(name));

    private static bool TakesValue(Option option) => option.Arity.MinimumNumberOfValues > 0;

    /// <summary>The names worth typing: not the question mark nor Windows' slashes, which shells read otherwise.</summary>
    private static IEnumerable<string> NamesOf(Option option) =>
        option.Aliases.Prepend(option.Name).Where(name => name is ['-', '-' or (>= 'a' and <= 'z'), ..]);

    private static string[] Values(RootCommand root, Symbol symbol, string current) =>
        // The context of a line that is nothing but the word has that word.
        Matching(
            symbol.GetCompletions(root.Parse([current]).GetCompletionContext()).Select(item => item.Label),
            current
        );

    private static string[] Matching(IEnumerable<string> proposals, string current) =>
        [
            .. proposals
                .Where(proposal => proposal.StartsWith(current, StringComparison.Ordinal))
                .Distinct()
                .Order(StringComparer.Ordinal),
        ];
}
