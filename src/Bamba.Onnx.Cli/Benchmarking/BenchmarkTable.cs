using System.Globalization;

namespace Bamba.Onnx.Cli.Benchmarking;

/// <summary>
/// Results as a Markdown table that is readable as it stands. Every width is known beforehand, so that a row appears as soon
/// as its test is done.
/// </summary>
internal sealed class BenchmarkTable
{
    private readonly TextWriter output;
    private readonly BenchmarkedModel model;
    private readonly (string Title, int Width, bool Right)[] columns;

    public BenchmarkTable(TextWriter output, BenchmarkedModel model, IReadOnlyList<BenchmarkTest> tests)
    {
        this.output = output;
        this.model = model;
        string[] titles = ["model", "size", "params", "dtype", "provider", "scan", "threads", "batch", "test", "t/s"];
        string[][] cells = [.. tests.Select(test => Cells(test, ""))];
        columns =
        [
            .. titles.Select(
                (title, i) =>
                    (title, Math.Max(title.Length, cells.Max(row => row[i].Length)), i is not (0 or 3 or 4 or 5))
            ),
        ];
        columns[^1].Width = "12345.67 ± 1234.56".Length;
    }

    public void WriteHead()
    {
        WriteLine([.. columns.Select(column => column.Title)]);
        output.WriteLine(
            $"| {string.Join(" | ", columns.Select(column => new string('-', column.Width - 1) + (column.Right ? ':' : '-')))} |"
        );
    }

    public void WriteRow(BenchmarkResult result) =>
        WriteLine(
            Cells(
                result.Test,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{result.MeanTokensPerSecond:F2} ± {result.TokensPerSecondDeviation:F2}"
                )
            )
        );

    public void WriteFoot(Machine machine, ProductVersions versions, IReadOnlyList<BenchmarkResult> results)
    {
        output.WriteLine();
        string cores = machine.Cores == 1 ? "1 core" : $"{machine.Cores} cores";
        output.WriteLine($"{machine.Cpu}, {cores}, {machine.OperatingSystem}; {versions}.");
        output.WriteLine();
        output.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"A sequence's state takes {model.Caches.StateBytesPerSequence:N0} bytes, and {model.Caches.KeyValueBytesPerToken:N0} bytes a token."
            )
        );
        WriteDevice(results);
    }

    /// <summary>What a device's figures are to be read by: how steps ran, and what of its memory's speed they reached.</summary>
    private void WriteDevice(IReadOnlyList<BenchmarkResult> results)
    {
        if (model.Device is not { } device || model.CopySpeed is not { } speed)
        {
            return;
        }
        output.WriteLine();
        output.WriteLine(
            string.Create(CultureInfo.InvariantCulture, $"{device}, which copies {speed / 1e12:F2} TB/s in its memory.")
        );
        foreach (BenchmarkResult result in results)
        {
            if (result.BandwidthShare(model) is { } share)
            {
                output.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{result.Test.Name}, batch {result.Test.Batch}: {share:P0} of that; {result.StepMode}."
                    )
                );
            }
        }
    }

    private string[] Cells(BenchmarkTest test, string speed) =>
        [
            model.Name,
            Size(model.Bytes),
            Count(model.Parameters),
            model.Dtype,
            model.Provider,
            model.Scan,
            model.Threads.ToString(CultureInfo.InvariantCulture),
            test.Batch.ToString(CultureInfo.InvariantCulture),
            test.Name,
            speed,
        ];

    private void WriteLine(string[] cells) =>
        output.WriteLine(
            $"| {string.Join(" | ", columns.Select((column, i) => column.Right ? cells[i].PadLeft(column.Width) : cells[i].PadRight(column.Width)))} |"
        );

    private static string Size(long bytes) =>
        bytes >= 1L << 30
            ? string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):F2} GiB")
            : string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):F2} MiB");

    private static string Count(long parameters) =>
        parameters >= 1_000_000_000
            ? string.Create(CultureInfo.InvariantCulture, $"{parameters / 1e9:F2} B")
            : string.Create(CultureInfo.InvariantCulture, $"{parameters / 1e6:F2} M");
}
