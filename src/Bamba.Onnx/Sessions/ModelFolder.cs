using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Sessions;

/// <summary>A model folder whose manifest and configuration were read, and whose files have the sizes that they should.</summary>
internal sealed record ModelFolder(string Path, ModelManifest Manifest, BambaConfig Config)
{
    /// <summary>Opens a folder.</summary>
    /// <exception cref="BambaFormatException">The folder or a file of it is missing, damaged, or of a newer format.</exception>
    public static ModelFolder Open(string path)
    {
        ModelManifest manifest = ModelManifest.Load(path);
        BambaConfig config = BambaConfig.Load(System.IO.Path.Combine(path, ModelFiles.Config));
        if (!manifest.Options.Weights)
        {
            throw new BambaFormatException(path, "was exported without weights, so it can be inspected but not run");
        }
        foreach (ManifestFile expected in manifest.Files)
        {
            var file = new FileInfo(System.IO.Path.Combine(path, expected.Name));
            if (!file.Exists)
            {
                throw new BambaFormatException(file.FullName, "no such file, though the folder's manifest names it");
            }
            if (file.Length != expected.Bytes)
            {
                throw new BambaFormatException(
                    file.FullName,
                    $"is damaged: expected {expected.Bytes} bytes, found {file.Length}; export the model again"
                );
            }
        }
        return new ModelFolder(path, manifest, config);
    }
}
