using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter;

/// <summary>
/// A temporary folder beside a target. Publishing renames it to the target in one step; disposing it unpublished deletes it, so
/// that no half-written folder ever has the target's name. A process that is killed leaves its folder, which nobody then has
/// locked, to the next that writes the same target.
/// </summary>
internal sealed class StagingFolder : IDisposable
{
    /// <summary>What the process that writes the folder has open.</summary>
    public const string LockFile = ".lock";

    private const string Suffix = ".tmp";

    private FileStream? held;
    private bool published;

    private StagingFolder(string target, string path, FileStream held)
    {
        Target = target;
        Path = path;
        this.held = held;
    }

    /// <summary>The folder that this one becomes.</summary>
    public string Target { get; }

    /// <summary>The temporary folder.</summary>
    public string Path { get; private set; }

    /// <summary>Makes a temporary folder for a target.</summary>
    /// <exception cref="BambaException">The target is a file, or a folder of other things than an export.</exception>
    /// <exception cref="IOException">The folder cannot be made.</exception>
    public static StagingFolder For(string target)
    {
        string full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(target));
        RequireReplaceable(full);
        string path = $"{full}.{Guid.NewGuid():N}{Suffix}";
        Directory.CreateDirectory(path);
        return new StagingFolder(full, path, Lock(path));
    }

    /// <summary>
    /// Takes the place of a folder that a killed process left for the same target and that has something to go on from, and
    /// deletes the others. What is in this folder goes.
    /// </summary>
    public void GoOnFromKilled(Predicate<string> isOfUse)
    {
        bool found = false;
        foreach (string left in Directory.GetDirectories(System.IO.Path.GetDirectoryName(Target)!))
        {
            if (left == Path || !IsForTarget(left) || LockLeft(left) is not { } lockOfLeft)
            {
                continue;
            }
            if (found || !isOfUse(left))
            {
                lockOfLeft.Dispose();
                Directory.Delete(left, recursive: true);
                continue;
            }
            found = true;
            Unlock();
            Directory.Delete(Path, recursive: true);
            (Path, held) = (left, lockOfLeft);
        }
    }

    /// <summary>A file in the temporary folder, whose own folder is made.</summary>
    public string File(string name)
    {
        string file = System.IO.Path.Combine(Path, name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file)!);
        return file;
    }

    /// <summary>Gives the folder the target's name; an earlier export there goes.</summary>
    /// <exception cref="IOException">The target cannot be replaced; it is then as it was.</exception>
    public void Publish()
    {
        Unlock();
        if (!Directory.Exists(Target))
        {
            Directory.Move(Path, Target);
            published = true;
            return;
        }
        RequireReplaceable(Target);
        string replaced = $"{Path}.replaced";
        Directory.Move(Target, replaced);
        try
        {
            Directory.Move(Path, Target);
        }
        catch
        {
            Directory.Move(replaced, Target);
            throw;
        }
        published = true;
        Directory.Delete(replaced, recursive: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Unlock();
        if (!published && Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }
    }

    private static FileStream Lock(string folder) =>
        new(System.IO.Path.Combine(folder, LockFile), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);

    /// <summary>The lock of a folder that is nobody's; null where somebody has it, or where there is none.</summary>
    private static FileStream? LockLeft(string folder)
    {
        try
        {
            return System.IO.File.Exists(System.IO.Path.Combine(folder, LockFile)) ? Lock(folder) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private bool IsForTarget(string folder) =>
        folder.Length > Target.Length + Suffix.Length
        && folder.StartsWith($"{Target}.", StringComparison.Ordinal)
        && folder.EndsWith(Suffix, StringComparison.Ordinal)
        && Guid.TryParseExact(folder.AsSpan()[(Target.Length + 1)..^Suffix.Length], "N", out _);

    private void Unlock()
    {
        if (held is null)
        {
            return;
        }
        if (!OperatingSystem.IsWindows())
        {
            // While it is held, so that nobody takes it.
            System.IO.File.Delete(held.Name);
        }
        held.Dispose();
        System.IO.File.Delete(held.Name);
        held = null;
    }

    private static void RequireReplaceable(string target)
    {
        if (System.IO.File.Exists(target))
        {
            throw new BambaException($"{target}: expected a folder to write, found a file");
        }
        if (
            Directory.Exists(target)
            && Directory.EnumerateFileSystemEntries(target).Any()
            && !System.IO.File.Exists(System.IO.Path.Combine(target, ModelFiles.Manifest))
        )
        {
            throw new BambaException(
                $"{target}: expected no folder, an empty one or an earlier export, found a folder of other files; choose another"
            );
        }
    }
}
