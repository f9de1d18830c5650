using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Bamba.Onnx.Hosts.Tests;

/// <summary>A host's folder with its packages, installed as its lock file says into a folder that git ignores.</summary>
internal static class NpmFolder
{
    private const string LockFile = "package-lock.json";
    private static readonly ConcurrentDictionary<string, Lazy<Task<string?>>> Installed = new();

    /// <summary>The folder of a host, its packages in place; the test is skipped where they cannot be installed.</summary>
    public static async Task<string> WithPackagesOrSkipAsync(string host)
    {
        string folder = Path.Combine(HostProcess.Hosts, host);
        string? problem = await Installed
            .GetOrAdd(folder, _ => new Lazy<Task<string?>>(() => InstallAsync(folder)))
            .Value;
        Assert.SkipWhen(problem is not null, problem ?? "");
        return folder;
    }

    /// <summary>Installs, and says why that is not possible here.</summary>
    private static async Task<string?> InstallAsync(string folder)
    {
        if (await HostProcess.TryRunAsync(folder, "node", ["--version"]) is not { ExitCode: 0 })
        {
            return "Node is not installed";
        }
        string wanted = Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, LockFile))));
        string stamp = Path.Combine(folder, "node_modules", ".installed");
        if (File.Exists(stamp) && File.ReadAllText(stamp) == wanted)
        {
            return null;
        }
        HostProcess? npm = await HostProcess.TryRunAsync(folder, "npm", ["ci"]);
        if (npm is null)
        {
            return "npm is not installed";
        }
        // A lock file that does not fit its package.json is our mistake; anything else lies with the registry or the network.
        Assert.DoesNotContain("EUSAGE", npm.Error, StringComparison.Ordinal);
        if (npm.ExitCode != 0)
        {
            return $"npm cannot install the packages: {npm.Error.Trim().Split('\n')[0]}";
        }
        await File.WriteAllTextAsync(stamp, wanted, CancellationToken.None);
        return null;
    }
}
