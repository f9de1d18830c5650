using System.CommandLine;
using System.CommandLine.Completions;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Globalization;

namespace Bamba.Onnx.Cli.Completion;

/// <summary>
/// Answers <c>bamba-onnx "[suggest:POSITION]" "LINE"</c>, System.CommandLine's question for completions, a proposal a line.
/// </summary>
internal sealed class SuggestAction(RootCommand root, SuggestDirective directive, CliConsole console)
    : SynchronousCommandLineAction
{
    // The line to complete is one odd argument here, and an unfinished command there.
    public override bool ClearsParseErrors => true;

    public static void Install(RootCommand root, CliConsole console)
    {
        SuggestDirective directive = root.Directives.OfType<SuggestDirective>().Single();
        directive.Action = new SuggestAction(root, directive, console);
    }

    public override int Invoke(ParseResult parseResult)
    {
        string line = parseResult.Tokens.LastOrDefault(token => token.Type != TokenType.Directive)?.Value ?? "";
        string? position = parseResult.GetResult(directive) is { Values: [var value, ..] } ? value : null;
        int end = int.TryParse(position, NumberStyles.None, CultureInfo.InvariantCulture, out int typed)
            ? Math.Min(typed, line.Length)
            : line.Length;
        foreach (string proposal in Proposals.For(root, line[..end]))
        {
            console.Out.WriteLine(proposal);
        }
        return ExitCode.Success;
    }
}
