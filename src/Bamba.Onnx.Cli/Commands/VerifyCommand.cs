using System.CommandLine;
using System.Globalization;
using Bamba.Onnx.Cli.Completion;
using Bamba.Onnx.Cli.Contracts;
using Bamba.Onnx.Cli.Verification;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx verify MODEL [--reference CASE]</c>.</summary>
internal static class VerifyCommand
{
    public static Command Create(CliConsole console)
    {
        var model = new ExportedModelArguments(ModelArguments.Required(console));
        var reference = new Option<string?>("--reference")
        {
            Description =
                "A folder with expected.safetensors, what Hugging Face computes for the same checkpoint: the graphs are run and compared with it.",
            HelpName = "CASE",
        };
        Option<Device> device = DeviceArgument.Create();
        Option<CustomOps> ops = OpsArgument.Create();
        var json = new Option<bool>("--json") { Description = "Print the result as JSON." };
        var command = new Command(
            "verify",
            "Hold a folder against what hosts need of it, and its graphs against expected values."
        )
        {
            reference,
            device,
            ops,
            json,
        };
        model.AddTo(command);
        reference.CompleteFolders();
        command.SetAction(
            async (parsed, cancellationToken) =>
            {
                string folder = await model.ResolveAsync(console, parsed, cancellationToken).ConfigureAwait(false);
                IReadOnlyList<VerificationCheck> checks = parsed.GetValue(reference) is { } compared
                    ? Verifier
                        .Verify(
                            folder,
                            compared,
                            parsed.GetValue(device).With(parsed.GetRequiredValue(ops)),
                            cancellationToken
                        )
                        .Checks
                    : [];
                var report = VerificationReport.Of(ContractRules.Check(folder), checks);
                if (parsed.GetValue(json))
                {
                    console.Out.WriteLine(report.ToJson());
                }
                else
                {
                    Print(console, report);
                }
                return report.Passed ? ExitCode.Success : ExitCode.CheckFailed;
            }
        );
        return command;
    }

    private static void Print(CliConsole console, VerificationReport report)
    {
        ContractTable.Write(console, report.Contract);
        if (report.Checks.Count == 0)
        {
            return;
        }
        TextWriter output = console.Out;
        output.WriteLine();
        int width = report.Checks.Max(check => check.Name.Length);
        foreach (VerificationCheck check in report.Checks)
        {
            string result = check.Skipped is { } reason
                ? $"skipped: {reason}"
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{(check.Passed ? "passed" : "FAILED")}  {check.MaxAbs:G3} (limit {check.Limit:G3})"
                );
            output.WriteLine($"{check.Name.PadRight(width)}  {result}");
        }
        int ran = report.Checks.Count(check => check.Skipped is null);
        output.WriteLine(
            $"{report.Checks.Count(check => check.Skipped is null && check.Passed)} of {ran} checks passed, {report.Checks.Count - ran} skipped"
        );
    }
}
