using System.CommandLine;
using System.CommandLine.Parsing;
using Bamba.Onnx.Cli.Commands;
using Bamba.Onnx.Cli.Completion;
using Bamba.Onnx.Cli.Help;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Hub;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Cli;

/// <summary>The <c>bamba-onnx</c> command: its subcommands, and the one place where errors become messages and exit codes.</summary>
internal static class CommandLine
{
    public static async Task<int> RunAsync(
        IReadOnlyList<string> args,
        CliConsole console,
        CancellationToken cancellationToken = default
    )
    {
        var root = new RootCommand(
            "Turns Hugging Face Bamba checkpoints (Mamba-2 with attention) into ONNX, and runs them on ONNX Runtime."
        )
        {
            ExportCommand.Create(console),
            RunCommand.Create(console),
            ChatCommand.Create(console),
            VerifyCommand.Create(console),
            QualityCommand.Create(console),
            TokenizeCommand.Create(console),
            InspectCommand.Create(console),
            BenchCommand.Create(console),
            ListCommand.Create(console),
            CompletionCommand.Create(console),
        };
        HelpPage.Install(root, console);
        VersionPage.Install(root, console);
        SuggestAction.Install(root, console);
        ParseResult parsed = root.Parse(args);
        if (parsed.Errors.Count > 0)
        {
            foreach (ParseError error in parsed.Errors)
            {
                await console.Error.WriteLineAsync($"error: {error.Message}").ConfigureAwait(false);
            }
            await console.Error.WriteLineAsync("'bamba-onnx --help' lists commands and options.").ConfigureAwait(false);
            return ExitCode.WrongUsage;
        }
        var configuration = new InvocationConfiguration
        {
            Output = console.Out,
            Error = console.Error,
            EnableDefaultExceptionHandler = false,
            // Long enough to delete a half-written export before the process goes. A chat hears Ctrl+C itself.
            ProcessTerminationTimeout =
                parsed.CommandResult.Command.Name == ChatCommand.Name ? null : TimeSpan.FromSeconds(30),
        };
        try
        {
            return await parsed.InvokeAsync(configuration, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (Explain(e) is var (code, message) && code != 0)
        {
            await console.Error.WriteLineAsync(message).ConfigureAwait(false);
            return code;
        }
    }

    /// <summary>The exit code and message of an expected error; code 0 for one that is ours to fix, which is left to crash.</summary>
    public static (int Code, string Message) Explain(Exception e) =>
        e switch
        {
            OperationCanceledException => (ExitCode.Cancelled, "cancelled"),
            BambaFormatException or HubException => (ExitCode.BadInput, $"error: {e.Message}"),
            BambaException => (ExitCode.WrongUsage, $"error: {e.Message}"),
            ArgumentException argument => (ExitCode.WrongUsage, $"error: {WithoutParameter(argument)}"),
            IOException or UnauthorizedAccessException => (ExitCode.BadInput, $"error: {e.Message}"),
            OnnxRuntimeException => (ExitCode.BadInput, $"error: ONNX Runtime: {e.Message}"),
            _ => (0, ""),
        };

    /// <summary>The message without the name of a parameter, which means nothing on a command line.</summary>
    public static string WithoutParameter(ArgumentException e) =>
        e.ParamName is null
            ? e.Message
            : e.Message.Replace($" (Parameter '{e.ParamName}')", "", StringComparison.Ordinal);
}
