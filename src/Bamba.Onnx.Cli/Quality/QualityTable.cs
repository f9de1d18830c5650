using System.Globalization;
using Spectre.Console;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>A report for people.</summary>
internal static class QualityTable
{
    // Wide enough that a pipe gets whole lines.
    private const int Width = 160;

    public static void Write(TextWriter output, QualityReport report)
    {
        IAnsiConsole terminal = AnsiConsole.Create(
            new AnsiConsoleSettings { Out = new AnsiConsoleOutput(output), Ansi = AnsiSupport.No }
        );
        terminal.Profile.Width = Width;
        terminal.Write(Models(report));
        terminal.WriteLine();
        terminal.Write(Differences(report));
    }

    private static Grid Models(QualityReport report)
    {
        Grid grid = new Grid().AddColumn(Names()).AddColumn(Numbers()).AddColumn(Numbers());
        Row(grid, "", "reference", "model");
        Each("folder", model => model.Name);
        Each("element type", model => model.Dtype);
        if (report.Reference.Quantization is not null || report.Model.Quantization is not null)
        {
            Each("quantized", model => model.Quantization ?? "no");
        }
        Each("weights", model => Invariant($"{model.WeightBytes:N0} bytes"));
        Each("runs on", model => model.Provider);
        Each("perplexity", model => Invariant($"{model.Perplexity:G6}"));
        return grid;

        void Each(string name, Func<QualityModel, string> cell) =>
            Row(grid, name, cell(report.Reference), cell(report.Model));
    }

    private static Grid Differences(QualityReport it)
    {
        Grid grid = new Grid().AddColumn(Names()).AddColumn();
        Row(grid, "perplexity ratio", Invariant($"{it.PerplexityRatio:F5} ± {it.PerplexityRatioError:F5}"));
        Row(
            grid,
            "KL divergence",
            Invariant(
                $"{it.MeanKl:G3} ± {it.MeanKlError:G2} nats a token; 99 % at most {it.KlP99:G3}, all at most {it.MaxKl:G3}"
            )
        );
        Row(grid, "same top token", Invariant($"{it.TopAgreement:P2}"));
        string windows = it.Windows == 1 ? "a window" : Invariant($"{it.Windows:N0} windows");
        Row(grid, "sample", Invariant($"{it.Tokens:N0} tokens of {it.Text} in {windows} of {it.Window:N0}"));
        Row(grid, "time", Invariant($"{it.Seconds:F1} s; {EndOf(it.EndedBy)}"));
        return grid;
    }

    private static string EndOf(QualityEnd end) =>
        end switch
        {
            QualityEnd.Tokens => "ended by the number of tokens",
            QualityEnd.Text => "ended by the end of the text",
            QualityEnd.Seconds => "ended by the time",
            _ => throw new ArgumentOutOfRangeException(nameof(end), end, null),
        };

    private static GridColumn Names() => new GridColumn().PadRight(4).NoWrap();

    private static GridColumn Numbers() => new GridColumn().PadRight(4).NoWrap().RightAligned();

    private static void Row(Grid grid, params string[] cells) => grid.AddRow([.. cells.Select(Markup.Escape)]);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
