using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>Notes in a folder which weights files are finished, for an export that goes on if this one is killed.</summary>
/// <param name="folder">Where the files are written.</param>
/// <param name="recipe">What they follow from beside the checkpoint.</param>
/// <param name="earlier">What another export of the same finished; null for nothing.</param>
internal sealed class ShardRecord(string folder, string recipe, FinishedWeights? earlier)
{
    /// <summary>The folder of the export, which the notes lie in.</summary>
    public string Folder => folder;

    public FinishedWeights? Earlier => earlier;

    /// <summary>Notes all finished files.</summary>
    /// <exception cref="IOException">The note cannot be written.</exception>
    public void Note(IEnumerable<ManifestFile> files, WeightRun run) =>
        new FinishedWeights
        {
            Recipe = recipe,
            Files = [.. files],
            RelativeErrors = run.Quantization.RelativeErrors(),
            TensorSha256 = run.Digests.Completed(),
        }.Save(folder);
}
