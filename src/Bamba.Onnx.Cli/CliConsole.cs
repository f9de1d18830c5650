using System.Runtime.InteropServices;

namespace Bamba.Onnx.Cli;

/// <summary>
/// Where the command reads and writes, so that tests can stand in for a terminal, and the one place that knows whether
/// output may be styled.
/// </summary>
/// <param name="In">Standard input.</param>
/// <param name="Out">Standard output: results and nothing else.</param>
/// <param name="Error">Standard error: everything else.</param>
/// <param name="ErrorIsTerminal">Whether standard error is a terminal where lines may be redrawn and coloured.</param>
internal sealed record CliConsole(TextReader In, TextWriter Out, TextWriter Error, bool ErrorIsTerminal)
{
    private const int WidthWithoutTerminal = 80;

    // What erases the rest of a line; a status shorter than the last must not leave its end behind.
    private const string EraseToEnd = "\u001b[K";

    /// <summary>Whether standard output is a terminal where text may be styled.</summary>
    public bool OutIsTerminal { get; init; }

    /// <summary>The value of an environment variable, null where it is not set.</summary>
    public Func<string, string?> Variable { get; init; } = Environment.GetEnvironmentVariable;

    /// <summary>Whether somebody types standard input at a terminal.</summary>
    public bool InIsTerminal { get; init; }

    /// <summary>Calls back at each Ctrl+C, which by itself then ends nothing, until what comes back is disposed.</summary>
    public Func<Action, IDisposable> OnInterrupt { get; init; } =
        action =>
            PosixSignalRegistration.Create(
                PosixSignal.SIGINT,
                signal =>
                {
                    signal.Cancel = true;
                    action();
                }
            );

    /// <summary>Columns of a line of prose.</summary>
    public int Width { get; init; } = WidthWithoutTerminal;

    public static CliConsole OfProcess()
    {
        // Text is UTF-8 whatever the locale says, and a newline is one byte.
        var encoding = new System.Text.UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var output = new StreamWriter(Console.OpenStandardOutput(), encoding) { AutoFlush = true };
        var error = new StreamWriter(Console.OpenStandardError(), encoding) { AutoFlush = true };
        var input = new StreamReader(Console.OpenStandardInput(), encoding);
        bool styled = IsStyleWanted(
            Environment.GetEnvironmentVariable("NO_COLOR"),
            Environment.GetEnvironmentVariable("TERM")
        );
        return new CliConsole(input, output, error, styled && !Console.IsErrorRedirected)
        {
            OutIsTerminal = styled && !Console.IsOutputRedirected,
            InIsTerminal = !Console.IsInputRedirected,
            Width = TerminalWidth(),
        };
    }

    /// <summary>Whether a terminal's user wants, and the terminal can do, more than plain lines (no-color.org).</summary>
    public static bool IsStyleWanted(string? noColor, string? term) => string.IsNullOrEmpty(noColor) && term != "dumb";

    /// <summary>Shows a passing message in place of the last one; elsewhere than on a terminal nothing.</summary>
    public void ShowStatus(string text)
    {
        if (ErrorIsTerminal)
        {
            // A line that wraps could not be redrawn.
            Error.Write($"\r{text[..Math.Min(text.Length, Width - 1)]}{EraseToEnd}");
        }
    }

    /// <summary>Takes the passing message away.</summary>
    public void ClearStatus()
    {
        if (ErrorIsTerminal)
        {
            Error.Write($"\r{EraseToEnd}");
        }
    }

    private static int TerminalWidth()
    {
        try
        {
            return !Console.IsOutputRedirected && Console.WindowWidth > 0 ? Console.WindowWidth : WidthWithoutTerminal;
        }
        catch (IOException)
        {
            return WidthWithoutTerminal;
        }
    }
}
