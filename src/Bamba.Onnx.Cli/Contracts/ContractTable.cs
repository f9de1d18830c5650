using Spectre.Console;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>Verdicts for people.</summary>
internal static class ContractTable
{
    // Wide enough that a pipe gets whole lines.
    private const int WidthOfPipe = 240;

    public static void Write(CliConsole console, IReadOnlyList<ContractResult> results)
    {
        IAnsiConsole terminal = AnsiConsole.Create(
            new AnsiConsoleSettings { Out = new AnsiConsoleOutput(console.Out), Ansi = AnsiSupport.No }
        );
        terminal.Profile.Width = console.OutIsTerminal ? console.Width : WidthOfPipe;
        Grid grid = new Grid().AddColumn(Column()).AddColumn(Column()).AddColumn();
        foreach (ContractResult result in results)
        {
            Row(
                result.Id,
                Verdict(result),
                $"{string.Join(", ", result.Hosts)}: {result.Skipped ?? result.Requirement}"
            );
            foreach (ContractFinding finding in result.Findings)
            {
                Row("", "", $"  {finding.Where}: expected {finding.Expected}, found {finding.Found}");
            }
        }
        terminal.Write(grid);
        int ran = results.Count(result => result.Skipped is null);
        int passed = results.Count(result => result.Skipped is null && result.Passed);
        console.Out.WriteLine($"{passed} of {ran} rules of the contract kept, {results.Count - ran} skipped");

        void Row(params string[] cells) => grid.AddRow([.. cells.Select(Markup.Escape)]);
    }

    private static string Verdict(ContractResult result) =>
        result.Skipped is not null ? "skipped"
        : result.Passed ? "kept"
        : "BROKEN";

    private static GridColumn Column() => new GridColumn().PadRight(2).NoWrap();
}
