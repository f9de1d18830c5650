using Microsoft.Win32.SafeHandles;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>Files whose size is known before the first byte is written.</summary>
internal static class PreallocatedFile
{
    /// <summary>Creates a file of <paramref name="bytes"/> zeros with room on the disk for all of them, for reading and writing.</summary>
    /// <exception cref="IOException">The file cannot be created, or the disk has no room: then nothing is left behind.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be created.</exception>
    public static SafeFileHandle Create(string path, FileMode mode, long bytes)
    {
        SafeFileHandle handle = File.OpenHandle(
            path,
            mode,
            FileAccess.ReadWrite,
            FileShare.Read,
            preallocationSize: bytes
        );
        try
        {
            // The reservation leaves the length at zero on some systems.
            RandomAccess.SetLength(handle, bytes);
            return handle;
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }
}
