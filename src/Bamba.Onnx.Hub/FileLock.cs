namespace Bamba.Onnx.Hub;

/// <summary>
/// A file that one process at a time has open. On Unix it is the lock that Hugging Face's own tools take on the same file. The
/// file stays: who deletes a lock file may delete the one that another process has just taken.
/// </summary>
internal sealed class FileLock : IDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(1);

    private readonly FileStream file;

    private FileLock(FileStream file)
    {
        this.file = file;
    }

    /// <summary>Waits until no one else has the lock.</summary>
    /// <exception cref="IOException">The file cannot be made.</exception>
    public static async Task<FileLock> AcquireAsync(string path, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        TimeSpan pause = FirstPause;
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                return new FileLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            }
            catch (IOException e) when (IsTaken(e))
            {
                await Task.Delay(pause, cancellationToken).ConfigureAwait(false);
                pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private static bool IsTaken(IOException e)
    {
        const int windowsSharingViolation = unchecked((int)0x80070020);
        const int windowsLockViolation = unchecked((int)0x80070021);
        const int linuxWouldBlock = 11;
        const int macWouldBlock = 35;
        return e.HResult is windowsSharingViolation or windowsLockViolation or linuxWouldBlock or macWouldBlock;
    }
}
