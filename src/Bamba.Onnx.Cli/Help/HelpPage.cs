using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Bamba.Onnx.Cli.Help;

/// <summary>
/// <c>--help</c>: what System.CommandLine says of a command, then the command's manual, as one page. Titles are bold on a
/// terminal; elsewhere the page is plain text.
/// </summary>
internal sealed class HelpPage(CliConsole console) : SynchronousCommandLineAction
{
    // Longer lines are hard to read, shorter ones have no room for two columns.
    private const int WidestLine = 100;
    private const int NarrowestLine = 50;
    private const string Bold = "\u001b[1m";
    private const string Plain = "\u001b[0m";

    // Help is for those who do not know yet what else to write.
    public override bool ClearsParseErrors => true;

    public static void Install(RootCommand root, CliConsole console) =>
        root.Options.OfType<HelpOption>().Single().Action = new HelpPage(console);

    public override int Invoke(ParseResult parseResult)
    {
        int width = Math.Clamp(console.Width, NarrowestLine, WidestLine);
        IEnumerable<string> page = OptionsOf(parseResult, width);
        if (Manual.Of(parseResult.CommandResult.Command) is { } manual)
        {
            page = [.. page, "", .. manual.Render(width)];
        }
        foreach (string line in page)
        {
            console.Out.WriteLine(IsTitle(line) && console.OutIsTerminal ? Bold + line + Plain : line);
        }
        return ExitCode.Success;
    }

    private static bool IsTitle(string line) => line.Length > 0 && !char.IsWhiteSpace(line[0]);

    /// <summary>System.CommandLine's page, its titles in the manual's style.</summary>
    private static IEnumerable<string> OptionsOf(ParseResult parsed, int width)
    {
        var text = new StringWriter { NewLine = "\n" };
        TextWriter output = parsed.InvocationConfiguration.Output;
        parsed.InvocationConfiguration.Output = text;
        try
        {
            new HelpAction { MaxWidth = width }.Invoke(parsed);
        }
        finally
        {
            parsed.InvocationConfiguration.Output = output;
        }
        return text.ToString()
            .TrimEnd()
            .Split('\n')
            .Select(line => line.TrimEnd())
            .Select(line => IsTitle(line) ? line.TrimEnd(':').ToUpperInvariant() : line);
    }
}
