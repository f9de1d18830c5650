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
        // Other tests run from what the solution was built to; these build beside it, all but the native library.
        string artifacts = System.IO.Path.Combine(TestData.Root, "artifacts");
        await Workplace.ExecuteAsync(
            "dotnet",
            [
                "pack",
                System.IO.Path.Combine("packaging", "Packages.slnf"),
                "--output",
                folder.Path,
                "--verbosity",
                "quiet",
                $"-p:ArtifactsPath={System.IO.Path.Combine(artifacts, "packed")}",
                $"-p:NativeFolder={System.IO.Path.Combine(artifacts, "native")}/",
                $"-p:ToolPackageRuntimeIdentifiers={RuntimeIdentifier}",
                "-p:RunAnalyzers=false",
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
    public IReadOnlyDictionary<string, long> Entries(string id, string extension = "nupkg")
    {
        using ZipArchive zip = ZipFile.OpenRead(File(id, extension));
        return zip.Entries.ToDictionary(entry => entry.FullName, entry => entry.Length);
    }

    /// <summary>What a package says of itself.</summary>
    public string Nuspec(string id)
    {
        using ZipArchive zip = ZipFile.OpenRead(File(id, "nupkg"));
        using var reader = new StreamReader(zip.GetEntry($"{id}.nuspec")!.Open());
        return reader.ReadToEnd();
    }

    private string File(string id, string extension) =>
        Directory
            .GetFiles(Path, $"{id}.*.{extension}")
            .Single(file => char.IsDigit(System.IO.Path.GetFileName(file)[id.Length + 1]));
}
