using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Cli;

/// <summary>Files of text that options name.</summary>
internal static class TextFile
{
    /// <summary>All of a file.</summary>
    /// <exception cref="BambaFormatException">There is no such file.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static string Read(string path)
    {
        RequireReadable(path);
        return File.ReadAllText(path);
    }

    /// <summary>Looks whether a file can be read, for who has long work to do before that.</summary>
    /// <param name="path">The file; null where there is none to read.</param>
    /// <exception cref="BambaFormatException">There is no such file.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static void RequireReadable(string? path)
    {
        if (path is null)
        {
            return;
        }
        try
        {
            File.OpenRead(path).Dispose();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BambaFormatException(path, "expected a text, found no such file", e);
        }
    }
}
