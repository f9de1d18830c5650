using System.IO.Compression;
using System.Runtime.InteropServices;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Packages.Tests;

/// <summary>The packages as <c>dotnet pack</c> makes them, for this system, in a folder that NuGet takes as a source.</summary>
public sealed class PackageFeed : IAsyncLifetime
{
    private readonly TemporaryFolder folder = new();

    /// <summary>The runtime id of this system.</summary>
    public static string RuntimeIdentifier { get; } = RuntimeInformation.RuntimeIdentifier;

    /// <summary>The folder. A test that asks for it is skipped where there is no native library to pack.</summary>
    public string Path
    {
        get
        {
            Assert.SkipUnless(
                HasNativeLibrary,
                "there is no package of native operators: CMake or a C++ compiler was missing, or BuildNative was false"
            );
            return folder.Path;
        }
    }

    private static bool HasNativeLibrary => CustomOps.Auto.Find(Sessions.ExecutionProvider.Cpu) is not null;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        if (!HasNativeLibrary)
        {
            return;
        }
        await PackAsync("packaging/Packages.slnf", folder.Path);
    }

    /// <summary>Packs a project or several, without what other tests run from: all but the native library is built beside it.</summary>
    /// <param name="project">Its path in the repository.</param>
    /// <param name="target">The folder that packages go to.</param>
    /// <param name="properties">What is asked of the build besides.</param>
    public static Task PackAsync(string project, string target, params string[] properties)
    {
        string artifacts = System.IO.Path.Combine(TestData.Root, "artifacts");
        return Workplace.ExecuteAsync(
            "dotnet",
            [
                "pack",
                project,
                "--output",
                target,
                "--verbosity",
                "quiet",
                $"-p:ArtifactsPath={System.IO.Path.Combine(artifacts, "packed")}",
                $"-p:NativeFolder={System.IO.Path.Combine(artifacts, "native")}/",
                $"-p:ToolPackageRuntimeIdentifiers={RuntimeIdentifier}",
                "-p:RunAnalyzers=false",
                .. properties,
            ],
            TestData.Root
        );
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        folder.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>The entries of a package.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="extension"><c>nupkg</c>, or <c>snupkg</c> for its symbols.</param>
    public IReadOnlyList<string> Entries(string id, string extension = "nupkg") => EntriesIn(Path, id, extension);

    /// <summary>The entries of a package in a folder.</summary>
    public static IReadOnlyList<string> EntriesIn(string folder, string id, string extension = "nupkg")
    {
        using ZipArchive zip = ZipFile.OpenRead(File(folder, id, extension));
        return [.. zip.Entries.Select(entry => entry.FullName)];
    }

    /// <summary>What a package in a folder says of itself.</summary>
    public static string Nuspec(string folder, string id)
    {
        using ZipArchive zip = ZipFile.OpenRead(File(folder, id, "nupkg"));
        using var reader = new StreamReader(zip.GetEntry($"{id}.nuspec")!.Open());
        return reader.ReadToEnd();
    }

    private static string File(string folder, string id, string extension) =>
        Directory
            .GetFiles(folder, $"{id}.*.{extension}")
            .Single(file => char.IsDigit(System.IO.Path.GetFileName(file)[id.Length + 1]));
}
