using System.Security.Cryptography;
using System.Text;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub;

/// <summary>
/// Exports of checkpoints, made when first asked for. A folder appears under its name when it is whole; one that is newer, of the
/// same checkpoint and form, takes the place of an older. Finding one needs no exporter. Deleting any costs time only.
/// </summary>
public sealed class ExportCache
{
    private const string MakingSuffix = ".making";
    private const string RemovedSuffix = ".removed";

    /// <summary>The cache in a folder, which need not exist.</summary>
    public ExportCache(string folder)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        Folder = Path.GetFullPath(folder);
    }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>All exports that are whole, the newest first.</summary>
    /// <exception cref="IOException">The folder cannot be read.</exception>
    public IReadOnlyList<KeptExport> Exports() =>
        Directory.Exists(Folder)
            ?
            [
                .. Directory
                    .EnumerateDirectories(Folder)
                    .Where(folder => !IsPassing(folder))
                    .Select(KeptExport.Read)
                    .OfType<KeptExport>()
                    .OrderByDescending(kept => kept.Made)
                    .ThenBy(kept => kept.Folder, StringComparer.Ordinal),
            ]
            : [];

    /// <summary>
    /// The newest export of a checkpoint in its present state, null where there is none. One whose matrices have fewer bits is taken
    /// only where there is no other.
    /// </summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="dtype">The element type; null for float32 where there is one, which every provider runs, else any.</param>
    public KeptExport? Find(ExportSource source, ElementType? dtype = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        return Of(source)
            .Where(kept => dtype is null || kept.Dtype == dtype)
            .OrderBy(kept => kept.Quantization is null ? 0 : 1)
            .ThenBy(kept => kept.Dtype == ElementType.Float32 ? 0 : 1)
            .FirstOrDefault();
    }

    /// <summary>
    /// The export of a checkpoint by an exporter: the one that is here, else a new one. Of several processes that want the same one
    /// makes it while the others wait. Older exports of the checkpoint in that form go, unless a program has them open.
    /// </summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="form">In what form it is exported.</param>
    /// <param name="exporter">The exporter's build.</param>
    /// <param name="export">Writes an export to the folder that it is given.</param>
    /// <param name="cancellationToken">Ends the waiting for another process.</param>
    /// <exception cref="IOException">The cache cannot be written.</exception>
    /// <exception cref="OperationCanceledException">The waiting was cancelled.</exception>
    public async Task<KeptExport> GetOrMakeAsync(
        ExportSource source,
        ExportForm form,
        string exporter,
        Action<string> export,
        CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(form);
        ArgumentNullException.ThrowIfNull(exporter);
        ArgumentNullException.ThrowIfNull(export);
        if (Find(source, form, exporter) is { } here)
        {
            return here;
        }
        using FileLock held = await FileLock
            .AcquireAsync(Path.Combine(Folder, ".locks", $"{Digest($"{source}|{form}")}.lock"), cancellationToken)
            .ConfigureAwait(false);
        if (Find(source, form, exporter) is { } madeMeanwhile)
        {
            return madeMeanwhile;
        }
        var made = new KeptExport
        {
            Source = source,
            Dtype = form.Dtype,
            Quantization = form.Quantization,
            Exporter = exporter,
            Made = DateTime.UtcNow,
            Folder = FolderOf(source, form, exporter),
        };
        Make(made, export);
        RemoveOlder(made);
        return made;
    }

    /// <summary>The folder that an export has or will have.</summary>
    /// <param name="source">The checkpoint.</param>
    /// <param name="form">In what form it is exported.</param>
    /// <param name="exporter">The exporter's build.</param>
    public string FolderOf(ExportSource source, ExportForm form, string exporter)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(form);
        string files = string.Join('|', source.Files.Select(file => $"{file.Name}:{file.Bytes}:{file.Modified.Ticks}"));
        return Path.Combine(Folder, $"{source.Name}-{Digest($"{source}|{form}|{exporter}|{files}")}");
    }

    /// <summary>Keeps an export from being removed until the result is disposed. Folders elsewhere have nothing to fear.</summary>
    /// <param name="folder">Any exported folder.</param>
    /// <returns>Null where the folder is none of a cache.</returns>
    public static IDisposable? Hold(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        string record = Path.Combine(folder, KeptExport.RecordName);
        try
        {
            return new FileStream(record, FileMode.Open, FileAccess.Read, FileShare.Read);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    private IEnumerable<KeptExport> Of(ExportSource source) => Exports().Where(kept => kept.Source.IsSameState(source));

    private KeptExport? Find(ExportSource source, ExportForm form, string exporter) =>
        Of(source).FirstOrDefault(kept => kept.Form == form && kept.Exporter == exporter);

    private static void Make(KeptExport kept, Action<string> export)
    {
        // Left by a process that was killed; who holds the lock is the only one who makes it.
        foreach (string left in Passing(kept.Folder))
        {
            Directory.Delete(left, recursive: true);
        }
        if (Directory.Exists(kept.Folder))
        {
            Directory.Delete(kept.Folder, recursive: true);
        }
        string making = kept.Folder + MakingSuffix;
        try
        {
            export(making);
            kept.Write(making);
            Directory.Move(making, kept.Folder);
        }
        finally
        {
            if (Directory.Exists(making))
            {
                Directory.Delete(making, recursive: true);
            }
        }
    }

    private void RemoveOlder(KeptExport newest)
    {
        foreach (
            KeptExport older in Exports()
                .Where(kept => kept.Folder != newest.Folder && kept.Form == newest.Form)
                .Where(kept => kept.Source.IsSameCheckpoint(newest.Source))
        )
        {
            string removed = older.Folder + RemovedSuffix;
            try
            {
                string record = Path.Combine(older.Folder, KeptExport.RecordName);
                using (new FileStream(record, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
                {
                    // Nobody holds it. Windows renames no folder with an open file.
                }
                Directory.Move(older.Folder, removed);
                Directory.Delete(removed, recursive: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A program has it open; the next export finds it again.
                continue;
            }
        }
    }

    private static bool IsPassing(string folder) =>
        Path.GetFileName(folder).Contains(MakingSuffix, StringComparison.Ordinal)
        || folder.EndsWith(RemovedSuffix, StringComparison.Ordinal);

    private static IEnumerable<string> Passing(string target)
    {
        string parent = Path.GetDirectoryName(target)!;
        return Directory.Exists(parent)
            ? Directory.EnumerateDirectories(parent, $"{Path.GetFileName(target)}{MakingSuffix}*")
            : [];
    }

    private static string Digest(string text) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 6));
}
