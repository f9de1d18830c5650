namespace Bamba.Onnx.Cli.Tests;

/// <summary>One run of the command inside the test's process.</summary>
internal sealed record CliRun(int ExitCode, string Out, string Error)
{
    public static Task<CliRun> Of(params string[] args) => With("", args);

    public static async Task<CliRun> With(string input, params string[] args)
    {
        var output = new StringWriter { NewLine = "\n" };
        var error = new StringWriter { NewLine = "\n" };
        var console = new CliConsole(new StringReader(input), output, error, ErrorIsTerminal: false);
        int exitCode = await CommandLine.RunAsync(args, console, TestContext.Current.CancellationToken);
        return new CliRun(exitCode, output.ToString(), error.ToString());
    }
}
