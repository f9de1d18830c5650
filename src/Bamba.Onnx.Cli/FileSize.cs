namespace Bamba.Onnx.Cli;

/// <summary>Sizes of files, links followed: models in Hugging Face's cache are folders of links.</summary>
internal static class FileSize
{
    /// <summary>The bytes of a file; null where there is none, or a link to none.</summary>
    public static long? Of(string path)
    {
        var file = new FileInfo(path);
        FileSystemInfo? end = file.Exists ? file.ResolveLinkTarget(returnFinalTarget: true) ?? file : null;
        return end is FileInfo { Exists: true } found ? found.Length : null;
    }
}
