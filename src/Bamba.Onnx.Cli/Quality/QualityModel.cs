using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>One of two compared models.</summary>
/// <param name="Name">Its folder's name; where the folder lies is nobody's business who reads the report elsewhere.</param>
/// <param name="Dtype">Its element type.</param>
/// <param name="Quantization">Its matrices with fewer bits, in a line; null where there are none.</param>
/// <param name="WeightBytes">Bytes of its weights.</param>
/// <param name="Provider">ONNX Runtime's execution provider that ran it.</param>
/// <param name="Perplexity">e to the mean of minus the log probability that it gave the text's tokens.</param>
internal sealed record QualityModel(
    string Name,
    string Dtype,
    string? Quantization,
    long WeightBytes,
    string Provider,
    double Perplexity
)
{
    public static QualityModel Of(ModelFolder folder, ExecutionProvider provider, double meanNats) =>
        new(
            Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder.Path))),
            folder.Manifest.Options.Dtype.ShortName(),
            QuantizationSummary.Of(folder.Manifest),
            folder.Manifest.WeightBytes,
            provider == ExecutionProvider.Cuda ? "CUDA" : "CPU",
            QualityReport.Exp(meanNats)
        );
}
