namespace Bamba.Onnx.Hub;

/// <summary>Files by way of links: models in Hugging Face's cache are folders of them.</summary>
internal static class LinkedFile
{
    /// <summary>The file at a path, links followed; null where there is none, or a link to none.</summary>
    public static FileInfo? At(string path)
    {
        var file = new FileInfo(path);
        return file.Exists ? Behind(file) : null;
    }

    /// <summary>The file at the end of a chain of links, null where there is none: <see cref="File.Exists"/> takes the link itself for one.</summary>
    public static FileInfo? Behind(FileInfo file)
    {
        FileSystemInfo end = file.ResolveLinkTarget(returnFinalTarget: true) ?? file;
        return end.Exists && end is FileInfo found ? found : null;
    }
}
