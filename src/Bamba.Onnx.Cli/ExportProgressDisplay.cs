using System.Diagnostics;
using System.Globalization;
using Bamba.Onnx.Exporter;

namespace Bamba.Onnx.Cli;

/// <summary>Shows an export's progress: a bar with bytes and time left on a terminal, a line now and then elsewhere.</summary>
internal sealed class ExportProgressDisplay(CliConsole console) : IProgress<ExportProgress>, IDisposable
{
    private static readonly TimeSpan TerminalInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(10);

    // Small exports are over before a line about them would be read.
    private const long QuietBytes = 256L << 20;
    private const int BarWidth = 20;

    private readonly Stopwatch clock = Stopwatch.StartNew();
    private readonly Lock gate = new();
    private TimeSpan stageStart;
    private TimeSpan lastShown;
    private ExportStage stage;
    private bool statusShown;

    /// <inheritdoc/>
    public void Report(ExportProgress value)
    {
        lock (gate)
        {
            if (value.Stage != stage)
            {
                (stage, stageStart) = (value.Stage, clock.Elapsed);
            }
            TimeSpan interval = console.ErrorIsTerminal ? TerminalInterval : LineInterval;
            if (value.TotalBytes < QuietBytes || stage == ExportStage.Done || clock.Elapsed - lastShown < interval)
            {
                return;
            }
            lastShown = clock.Elapsed;
            if (console.ErrorIsTerminal)
            {
                console.ShowStatus($"{Bar(value)} {Text(value)}");
                statusShown = true;
            }
            else
            {
                console.Error.WriteLine(Text(value));
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (statusShown)
        {
            console.ClearStatus();
        }
    }

    private static string Bar(ExportProgress value)
    {
        int done = (int)(BarWidth * value.DoneBytes / value.TotalBytes);
        return new string('█', done) + new string('░', BarWidth - done);
    }

    private string Text(ExportProgress value)
    {
        double share = (double)value.DoneBytes / value.TotalBytes;
        TimeSpan spent = clock.Elapsed - stageStart;
        string left = share > 0.01 ? $", {spent * ((1 / share) - 1):m\\:ss} left" : "";
        string verb = value.Stage == ExportStage.Hashing ? "hashing" : "writing";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{verb} weights: {value.DoneBytes / 1e9:F2} of {value.TotalBytes / 1e9:F2} GB ({share:P0}){left}"
        );
    }
}
