using System.CommandLine;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>--trace FILE</c>: ONNX Runtime's profile of a model's runs, which one command writes and another draws.</summary>
internal static class TraceArgument
{
    public static Option<string?> ToWrite()
    {
        Option<string?> option = Create(
            "Write ONNX Runtime's profile of every run: chrome://tracing and inspect --html read it."
        );
        option.Validators.Add(result =>
        {
            // Told now, and not when the model has run.
            if (
                result.GetValueOrDefault<string?>() is { } file
                && !Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(file)))
            )
            {
                result.AddError($"--trace: expected a file in a folder that exists, found {file}");
            }
        });
        return option;
    }

    public static Option<string?> ToRead() =>
        Create("With --html: a profile that run or bench wrote, to draw where time went.");

    private static Option<string?> Create(string description) =>
        new("--trace") { Description = description, HelpName = "FILE" };
}
