using System.Collections.Concurrent;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;

namespace Bamba.Onnx.Testing;

/// <summary>Exports for tests, each made once a process and deleted at its end.</summary>
public static class ExportedModels
{
    private static readonly string Root = Directory.CreateTempSubdirectory("bamba-exports-").FullName;
    private static readonly ConcurrentDictionary<(string Checkpoint, ExportOptions Options), Lazy<string>> Made = new();

    static ExportedModels() => AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(Root, recursive: true);

    /// <summary>The exported folder of a checkpoint.</summary>
    public static string Of(string checkpoint, ExportOptions? options = null) =>
        Made.GetOrAdd(
            (checkpoint, options ?? new ExportOptions()),
            key => new Lazy<string>(() =>
            {
                string target = Path.Combine(Root, Guid.NewGuid().ToString("N"));
                BambaExporter.Export(key.Checkpoint, target, key.Options);
                return target;
            })
        ).Value;

    /// <summary>A copy of an export that a test may damage; the caller deletes it.</summary>
    public static string CopyOf(string checkpoint, ExportOptions? options = null)
    {
        string source = Of(checkpoint, options);
        string copy = Directory.CreateTempSubdirectory("bamba-export-copy-").FullName;
        foreach (string file in Directory.EnumerateFiles(source, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(copy, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
        return copy;
    }

    /// <summary>Float32 with logits of every position in both graphs.</summary>
    public static ExportOptions AllLogits { get; } = new() { Logits = LogitsPositions.All };
}
