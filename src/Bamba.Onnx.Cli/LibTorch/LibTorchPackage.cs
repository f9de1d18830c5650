using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Bamba.Onnx.Cli.LibTorch;

/// <summary>The NuGet package that holds libtorch for a system.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Version">Its version, the one that TorchSharp was built with.</param>
/// <param name="ContentHash">What NuGet records of its content when it installs it.</param>
/// <param name="RuntimeIdentifier">Under which its libraries lie.</param>
internal sealed record LibTorchPackage(string Id, string Version, string ContentHash, string RuntimeIdentifier)
{
    /// <summary>The framework of the project that fetches it, as lock files write it. It needs nothing else to be fetched.</summary>
    public const string LockFramework = ".NETStandard,Version=v2.0";

    /// <summary>The one for this system; null where there is none.</summary>
    public static LibTorchPackage? OfThisSystem { get; } = Of(ThisSystem());

    /// <summary>The one for a runtime id, from the lock file that this assembly carries; null where there is none.</summary>
    public static LibTorchPackage? Of(string runtimeIdentifier)
    {
        using Stream? stream = Assembly
            .GetExecutingAssembly()
            .GetManifestResourceStream($"libtorch.{runtimeIdentifier}.lock.json");
        if (stream is null)
        {
            return null;
        }
        (string id, JsonNode? entry) = JsonNode.Parse(stream)!["dependencies"]![LockFramework]!.AsObject().Single();
        return new LibTorchPackage(
            id,
            entry!["resolved"]!.GetValue<string>(),
            entry["contentHash"]!.GetValue<string>(),
            runtimeIdentifier
        );
    }

    /// <summary>The lock file of a project that refers to it alone: NuGet then installs nothing of another content.</summary>
    public string LockFile() =>
        new JsonObject
        {
            ["version"] = 1,
            ["dependencies"] = new JsonObject
            {
                [LockFramework] = new JsonObject
                {
                    [Id] = new JsonObject
                    {
                        ["type"] = "Direct",
                        ["requested"] = $"[{Version}, {Version}]",
                        ["resolved"] = Version,
                        ["contentHash"] = ContentHash,
                    },
                },
            },
        }.ToJsonString();

    /// <summary>Its libraries in a folder of installed packages; null where it is not there whole, or has another content.</summary>
    public string? FolderIn(string packages)
    {
        string package = Path.Combine(packages, Id, Version);
        // NuGet writes it last.
        string metadata = Path.Combine(package, ".nupkg.metadata");
        string libraries = Path.Combine(package, "runtimes", RuntimeIdentifier, "native");
        return File.Exists(metadata) && HashIn(metadata) == ContentHash && Directory.Exists(libraries)
            ? libraries
            : null;
    }

    private static string? HashIn(string metadata)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(metadata))?["contentHash"]?.GetValue<string>();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private static string ThisSystem()
    {
        string system =
            OperatingSystem.IsWindows() ? "win"
            : OperatingSystem.IsMacOS() ? "osx"
            : "linux";
        return $"{system}-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}";
    }
}
