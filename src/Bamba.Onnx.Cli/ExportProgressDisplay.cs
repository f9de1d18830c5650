using Bamba.Onnx.Exporter;

namespace Bamba.Onnx.Cli;

/// <summary>Shows an export's progress.</summary>
internal sealed class ExportProgressDisplay(CliConsole console) : IProgress<ExportProgress>, IDisposable
{
    // Small exports are over before a line about them would be read.
    private const long QuietBytes = 256L << 20;

    private readonly ByteProgress progress = new(console);

    /// <inheritdoc/>
    public void Report(ExportProgress value)
    {
        if (value.TotalBytes >= QuietBytes && value.Stage != ExportStage.Done)
        {
            string verb = value.Stage switch
            {
                ExportStage.Checking => "checking earlier",
                ExportStage.Hashing => "hashing",
                _ => "writing",
            };
            progress.Report($"{verb} weights", value.DoneBytes, value.TotalBytes);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => progress.Dispose();
}
