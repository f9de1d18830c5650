using System.Security.Cryptography;

namespace Bamba.Onnx.Exporter.Torch;

/// <summary>Patched copies of native libraries, one file for each content, safe for processes that start together.</summary>
internal static class PatchedLibraryCache
{
    /// <summary>Makes sure that a folder holds a file of this content and returns its path.</summary>
    /// <param name="folders">Folders to try, the first writable one wins; they are created when missing.</param>
    /// <param name="name">The library's name without extension; a hash of the content is added.</param>
    /// <param name="content">The bytes of the file.</param>
    /// <exception cref="IOException">No folder can be written; the message has the reason of each.</exception>
    public static string Store(IReadOnlyList<string> folders, string name, ReadOnlySpan<byte> content)
    {
        string fileName = $"{name}-{Convert.ToHexStringLower(SHA256.HashData(content))[..16]}.so";
        var failures = new List<Exception>();
        foreach (string folder in folders)
        {
            try
            {
                return Store(folder, fileName, content);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                failures.Add(e);
            }
        }
        throw new IOException(
            $"{fileName} cannot be written: {string.Join("; ", failures.Select(failure => failure.Message))}",
            new AggregateException(failures)
        );
    }

    private static string Store(string folder, string fileName, ReadOnlySpan<byte> content)
    {
        string path = Path.Combine(folder, fileName);
        // The whole file is compared, so a damaged or foreign one under this name is replaced and never loaded.
        if (File.Exists(path) && content.SequenceEqual(File.ReadAllBytes(path)))
        {
            return path;
        }
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
        }
        else
        {
            Directory.CreateDirectory(
                folder,
                UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
            );
        }
        string temporary = Path.Combine(folder, $"{fileName}.{Guid.NewGuid():N}.tmp");
        try
        {
            File.WriteAllBytes(temporary, content);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
        return path;
    }
}
