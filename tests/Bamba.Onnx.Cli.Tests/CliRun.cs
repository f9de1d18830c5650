namespace Bamba.Onnx.Cli.Tests;

/// <summary>One run of the command inside the test's process.</summary>
internal sealed record CliRun(int ExitCode, string Out, string Error)
{
    public static Task<CliRun> Of(params string[] args) => With("", args);

    public static Task<CliRun> With(string input, params string[] args) =>
        On(isTerminal: false, width: 80, input, args);

    /// <summary>A run that believes both of its outputs to be a terminal.</summary>
    public static Task<CliRun> OnTerminal(int width, params string[] args) => On(isTerminal: true, width, "", args);

    /// <summary>A run that sees these environment variables and no others.</summary>
    public static Task<CliRun> In(IReadOnlyDictionary<string, string> variables, params string[] args) =>
        On(isTerminal: false, width: 80, "", args, variables.GetValueOrDefault);

    private static async Task<CliRun> On(
        bool isTerminal,
        int width,
        string input,
        string[] args,
        Func<string, string?>? variable = null
    )
    {
        var output = new StringWriter { NewLine = "\n" };
        var error = new StringWriter { NewLine = "\n" };
        var console = new CliConsole(new StringReader(input), output, error, isTerminal)
        {
            OutIsTerminal = isTerminal,
            Width = width,
            Variable = variable ?? Environment.GetEnvironmentVariable,
        };
        int exitCode = await CommandLine.RunAsync(args, console, TestContext.Current.CancellationToken);
        return new CliRun(exitCode, output.ToString(), error.ToString());
    }
}
