using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Bamba.Onnx.Cli.Commands;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;

namespace Bamba.Onnx.Cli;

/// <summary>Finds the model folder behind an argument: the folder itself, or the export of a checkpoint, made once and kept.</summary>
internal static class ModelSource
{
    /// <summary>The folder of kept exports, overridden by this variable.</summary>
    public const string CacheVariable = "BAMBA_ONNX_CACHE";

    /// <summary>The small model that comes with the command.</summary>
    public static string ShippedModel => Path.Combine(AppContext.BaseDirectory, "models", "bamba-tiny-shakespeare");

    /// <summary>A model folder for an exported folder, a checkpoint folder, or nothing: the shipped model.</summary>
    /// <exception cref="BambaFormatException">The folder is neither.</exception>
    public static string Resolve(
        CliConsole console,
        string? folder,
        ExportOptions options,
        CancellationToken cancellationToken
    )
    {
        folder ??= ShippedModel;
        if (File.Exists(Path.Combine(folder, ModelFiles.Manifest)))
        {
            return folder;
        }
        if (!Directory.Exists(folder))
        {
            throw new BambaFormatException(folder, "no such folder");
        }
        if (!File.Exists(Path.Combine(folder, ModelFiles.Config)))
        {
            throw new BambaFormatException(
                folder,
                $"expected an exported model ({ModelFiles.Manifest}) or a checkpoint ({ModelFiles.Config}), found neither"
            );
        }
        string target = Path.Combine(
            CacheFolder(),
            $"{Path.GetFileName(Path.GetFullPath(folder))}-{Fingerprint(folder, options)}"
        );
        if (!File.Exists(Path.Combine(target, ModelFiles.Manifest)))
        {
            console.Error.WriteLine($"exporting {folder} to {target}");
            Directory.CreateDirectory(CacheFolder());
            ExportCommand.Run(console, folder, target, options, cancellationToken);
        }
        return target;
    }

    private static string CacheFolder()
    {
        if (Environment.GetEnvironmentVariable(CacheVariable) is { Length: > 0 } chosen)
        {
            return chosen;
        }
        string cache =
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } xdg ? xdg
            : OperatingSystem.IsWindows() ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache");
        return Path.Combine(cache, "bamba-onnx", "models");
    }

    /// <summary>Changes with the checkpoint's place, its files' sizes and times, the options and the format of exports.</summary>
    private static string Fingerprint(string checkpoint, ExportOptions options)
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"{ModelManifest.CurrentFormatVersion}|{options}|{Path.GetFullPath(checkpoint)}"
        );
        text.Append(CultureInfo.InvariantCulture, $"|{typeof(BambaExporter).Module.ModuleVersionId}");
        foreach (
            FileInfo file in new DirectoryInfo(checkpoint)
                .EnumerateFiles()
                .OrderBy(file => file.Name, StringComparer.Ordinal)
        )
        {
            text.Append(CultureInfo.InvariantCulture, $"|{file.Name}:{file.Length}:{file.LastWriteTimeUtc.Ticks}");
        }
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString()));
        return Convert.ToHexStringLower(hash.AsSpan(0, 6));
    }
}
