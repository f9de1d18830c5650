using System.CommandLine;
using System.CommandLine.Invocation;

namespace Bamba.Onnx.Cli.Help;

/// <summary><c>--version</c>: this command, and the two things below it that a report of a problem must name.</summary>
internal sealed class VersionPage(CliConsole console) : SynchronousCommandLineAction
{
    public static void Install(RootCommand root, CliConsole console) =>
        root.Options.OfType<VersionOption>().Single().Action = new VersionPage(console);

    public override int Invoke(ParseResult parseResult)
    {
        var versions = ProductVersions.OfProcess();
        console.Out.WriteLine($"bamba-onnx {versions.BambaOnnx}");
        console.Out.WriteLine($"ONNX Runtime {versions.OnnxRuntime}");
        console.Out.WriteLine($".NET {versions.DotNet}");
        return ExitCode.Success;
    }
}
