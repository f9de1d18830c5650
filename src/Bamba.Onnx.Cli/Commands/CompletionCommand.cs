using System.CommandLine;
using Bamba.Onnx.Cli.Help;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx completion bash|zsh|fish|pwsh</c>.</summary>
internal static class CompletionCommand
{
    public static Command Create(CliConsole console)
    {
        Argument<string> shell = new Argument<string>("SHELL")
        {
            Description = "The shell that the script is for.",
        }.AcceptOnlyFromAmong("bash", "zsh", "fish", "pwsh");
        var command = new Command("completion", "Print a script that lets a shell complete this command.") { shell };
        command.SetAction(parsed =>
        {
            console.Out.Write(EmbeddedText.Read($"completion.{parsed.GetRequiredValue(shell)}"));
            return ExitCode.Success;
        });
        return command;
    }
}
