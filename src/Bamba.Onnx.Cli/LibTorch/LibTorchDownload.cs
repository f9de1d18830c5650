using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Bamba.Onnx.Hub;

namespace Bamba.Onnx.Cli.LibTorch;

/// <summary>
/// Fetches libtorch as any project's build would: <c>dotnet restore</c> of a project that refers to it, from the sources and with the
/// credentials that the user has set up. A lock file pins its content.
/// </summary>
internal static partial class LibTorchDownload
{
    private const string ProjectFile = "libtorch.csproj";
    private const string LockFile = "packages.lock.json";

    /// <summary>Fetches a package.</summary>
    /// <returns>The folder of its libraries.</returns>
    /// <exception cref="IOException">It cannot be fetched, or its content is not what it must be.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static string Run(
        CliConsole console,
        LibTorchPackage package,
        string packagesVariable,
        CancellationToken cancellationToken
    )
    {
        console.Error.WriteLine(
            $"exporting needs libtorch: NuGet fetches {package.Id} {package.Version}, which takes a while once"
        );
        string project = Path.Combine(
            HubSettings.From(console.Variable).ExportCacheFolder,
            $".libtorch-{Guid.NewGuid():N}"
        );
        Directory.CreateDirectory(project);
        try
        {
            WriteProject(project, package);
            Restore(project, package, (packagesVariable, console.Variable(packagesVariable)), cancellationToken);
            return PackageFolders(project).Select(package.FolderIn).FirstOrDefault(folder => folder is not null)
                ?? throw Failure(package, "NuGet says that it is there, and it is not");
        }
        finally
        {
            Directory.Delete(project, recursive: true);
        }
    }

    private static void WriteProject(string folder, LibTorchPackage package)
    {
        // NuGet's configuration comes from the folders above and the user, as for any project; what MSBuild finds above does not.
        foreach (
            string file in (string[])["Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props"]
        )
        {
            File.WriteAllText(Path.Combine(folder, file), "<Project />");
        }
        File.WriteAllText(Path.Combine(folder, LockFile), package.LockFile());
        File.WriteAllText(
            Path.Combine(folder, ProjectFile),
            $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup>
                <TargetFramework>netstandard2.0</TargetFramework>
                <DisableImplicitFrameworkReferences>true</DisableImplicitFrameworkReferences>
                <NuGetAudit>false</NuGetAudit>
                <RestorePackagesWithLockFile>true</RestorePackagesWithLockFile>
                <RestoreLockedMode>true</RestoreLockedMode>
              </PropertyGroup>
              <ItemGroup>
                <PackageReference Include="{package.Id}" Version="[{package.Version}]" />
              </ItemGroup>
            </Project>
            """
        );
    }

    private static void Restore(
        string folder,
        LibTorchPackage package,
        (string Name, string? Value) packagesFolder,
        CancellationToken cancellationToken
    )
    {
        var start = new ProcessStartInfo(DotnetCommand(), ["restore", ProjectFile, "--verbosity", "quiet"])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[packagesFolder.Name] = packagesFolder.Value;
        start.Environment["DOTNET_NOLOGO"] = "1";
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        using Process process = StartOf(start, package);
        process.StandardInput.Close();
        Task<string> output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        Task<string> error = process.StandardError.ReadToEndAsync(CancellationToken.None);
        using (cancellationToken.Register(() => process.Kill(entireProcessTree: true)))
        {
            process.WaitForExit();
        }
        cancellationToken.ThrowIfCancellationRequested();
        if (process.ExitCode != 0)
        {
            throw Failure(package, Reason(output.GetAwaiter().GetResult() + error.GetAwaiter().GetResult()));
        }
    }

    private static Process StartOf(ProcessStartInfo start, LibTorchPackage package)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw Failure(package, $"{start.FileName} does not start: {e.Message}");
        }
    }

    /// <summary>The first thing that went wrong, on one line; NuGet repeats it for each source.</summary>
    private static string Reason(string output) =>
        ErrorLine().Match(output) is { Success: true } match
            ? match.Groups["text"].Value.Trim()
            : string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    private static IEnumerable<string> PackageFolders(string project) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(project, "obj", "project.assets.json")))!["packageFolders"]!
            .AsObject()
            .Select(folder => folder.Key);

    // The one that runs this process, if it does.
    private static string DotnetCommand()
    {
        string name = OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet";
        string beside = Path.GetFullPath(
            Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", name)
        );
        return File.Exists(beside) ? beside : name;
    }

    private static IOException Failure(LibTorchPackage package, string reason) =>
        new(
            $"exporting needs libtorch, and NuGet cannot fetch {package.Id} {package.Version}: {reason.TrimEnd('.')}. Where there is no network, install that package by other means, or let {LibTorchSource.Variable} name a folder of its libraries"
        );

    [GeneratedRegex(@"\berror (?<text>[A-Z]+\d+: [^\r\n[]+)")]
    private static partial Regex ErrorLine();
}
