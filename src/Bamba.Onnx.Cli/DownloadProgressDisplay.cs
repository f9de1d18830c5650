using Bamba.Onnx.Hub;

namespace Bamba.Onnx.Cli;

/// <summary>Shows a download's progress, all files together.</summary>
internal sealed class DownloadProgressDisplay(CliConsole console) : IProgress<HubProgress>, IDisposable
{
    private readonly ByteProgress progress = new(console);

    /// <inheritdoc/>
    public void Report(HubProgress value) => progress.Report("downloading", value.DoneBytes, value.TotalBytes);

    /// <inheritdoc/>
    public void Dispose() => progress.Dispose();
}
