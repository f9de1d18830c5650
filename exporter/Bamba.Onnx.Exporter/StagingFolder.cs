using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter;

/// <summary>
/// A temporary folder beside a target. Publishing renames it to the target in one step; disposing it unpublished deletes it, so
/// that no half-written folder ever has the target's name.
/// </summary>
internal sealed class StagingFolder : IDisposable
{
    private readonly string target;
    private bool published;

    private StagingFolder(string target, string path)
    {
        this.target = target;
        Path = path;
    }

    /// <summary>The temporary folder.</summary>
    public string Path { get; }

    /// <summary>Makes a temporary folder for a target.</summary>
    /// <exception cref="BambaException">The target is a file, or a folder of other things than an export.</exception>
    /// <exception cref="IOException">The folder cannot be made.</exception>
    public static StagingFolder For(string target)
    {
        string full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(target));
        RequireReplaceable(full);
        string path = $"{full}.{Guid.NewGuid():N}.tmp";
        Directory.CreateDirectory(path);
        return new StagingFolder(full, path);
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
        if (!Directory.Exists(target))
        {
            Directory.Move(Path, target);
            published = true;
            return;
        }
        RequireReplaceable(target);
        string replaced = $"{Path}.replaced";
        Directory.Move(target, replaced);
        try
        {
            Directory.Move(Path, target);
        }
        catch
        {
            Directory.Move(replaced, target);
            throw;
        }
        published = true;
        Directory.Delete(replaced, recursive: true);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!published && Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }
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
