namespace Bamba.Onnx.Cli;

/// <summary>Where the command reads and writes, so that tests can stand in for a terminal.</summary>
/// <param name="In">Standard input.</param>
/// <param name="Out">Standard output: results and nothing else.</param>
/// <param name="Error">Standard error: everything else.</param>
/// <param name="ErrorIsTerminal">Whether standard error is a terminal, where lines may be redrawn and coloured.</param>
internal sealed record CliConsole(TextReader In, TextWriter Out, TextWriter Error, bool ErrorIsTerminal)
{
    public static CliConsole OfProcess()
    {
        // Text is UTF-8 whatever the locale says, and a newline is one byte.
        var encoding = new System.Text.UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var output = new StreamWriter(Console.OpenStandardOutput(), encoding) { AutoFlush = true };
        var error = new StreamWriter(Console.OpenStandardError(), encoding) { AutoFlush = true };
        var input = new StreamReader(Console.OpenStandardInput(), encoding);
        return new CliConsole(input, output, error, !Console.IsErrorRedirected);
    }
}
