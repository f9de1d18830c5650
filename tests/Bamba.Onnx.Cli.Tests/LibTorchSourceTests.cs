using System.IO.Compression;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Bamba.Onnx.Cli.LibTorch;
using Bamba.Onnx.Exporter.Torch;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

/// <summary>libtorch found and fetched; a small package stands in for it, in a source that is a folder.</summary>
public sealed class LibTorchSourceTests : IDisposable
{
    private const string Content = "stands in for libtorch";

    private readonly TemporaryFolder folder = new();
    private readonly StringWriter error = new() { NewLine = "\n" };

    public LibTorchSourceTests()
    {
        Directory.CreateDirectory(folder["feed"]);
        // Above where the command works, so that NuGet takes it.
        File.WriteAllText(
            folder["nuget.config"],
            """<configuration><packageSources><clear /><add key="feed" value="feed" /></packageSources></configuration>"""
        );
    }

    private CliConsole Console =>
        new(TextReader.Null, TextWriter.Null, error, false)
        {
            Variable = new Dictionary<string, string>
            {
                ["BAMBA_ONNX_CACHE"] = folder["cache"],
                ["NUGET_PACKAGES"] = folder["packages"],
            }.GetValueOrDefault,
        };

    public void Dispose() => folder.Dispose();

    /// <summary>Puts a package into the source.</summary>
    private LibTorchPackage Feed()
    {
        string file = folder["feed/libtorch-test.2.10.0.nupkg"];
        using (ZipArchive zip = ZipFile.Open(file, ZipArchiveMode.Create))
        {
            Add(
                zip,
                "libtorch-test.nuspec",
                """<package><metadata><id>libtorch-test</id><version>2.10.0</version><authors>tests</authors><description>A test.</description></metadata></package>"""
            );
            Add(zip, "runtimes/test-x64/native/libtorch_cpu.so", Content);
        }
        return new LibTorchPackage(
            "libtorch-test",
            "2.10.0",
            Convert.ToBase64String(SHA512.HashData(File.ReadAllBytes(file))),
            "test-x64"
        );
    }

    private static void Add(ZipArchive zip, string name, string text)
    {
        using var writer = new StreamWriter(zip.CreateEntry(name).Open());
        writer.Write(text);
    }

    private string Packaged(LibTorchPackage package) =>
        LibTorchSource.Packaged(Console, package, TestContext.Current.CancellationToken);

    private string Refusal(LibTorchPackage package)
    {
        IOException refused = Assert.Throws<IOException>(() => Packaged(package));
        Assert.DoesNotContain('\n', refused.Message);
        Assert.Empty(Directory.GetFileSystemEntries(folder["cache"]));
        return refused.Message;
    }

    [Fact]
    public void It_is_fetched_once_from_the_sources_that_NuGet_is_set_up_with()
    {
        LibTorchPackage package = Feed();

        string libraries = Packaged(package);

        Assert.Equal(folder["packages/libtorch-test/2.10.0/runtimes/test-x64/native"], libraries);
        Assert.Equal(Content, File.ReadAllText(Path.Combine(libraries, "libtorch_cpu.so")));
        Assert.Equal(
            "exporting needs libtorch: NuGet fetches libtorch-test 2.10.0, which takes a while once\n",
            error.ToString()
        );
        Assert.Empty(Directory.GetFileSystemEntries(folder["cache"]));

        error.GetStringBuilder().Clear();
        File.Delete(folder["feed/libtorch-test.2.10.0.nupkg"]);
        Assert.Equal(libraries, Packaged(package));
        Assert.Equal("", error.ToString());
    }

    [Fact]
    public void A_package_of_another_content_is_refused()
    {
        LibTorchPackage package = Feed() with { ContentHash = Convert.ToBase64String(new byte[64]) };
        Assert.StartsWith(
            "exporting needs libtorch, and NuGet cannot fetch libtorch-test 2.10.0: NU1403: ",
            Refusal(package)
        );
    }

    [Fact]
    public void What_is_in_the_cache_with_another_content_is_not_taken()
    {
        LibTorchPackage package = Feed();
        _ = Packaged(package);
        Assert.Null((package with { ContentHash = "other" }).FolderIn(folder["packages"]));
    }

    [Fact]
    public void Where_no_source_has_it_the_error_tells_what_can_be_done()
    {
        string message = Refusal(new LibTorchPackage("libtorch-absent", "2.10.0", "hash", "test-x64"));
        Assert.StartsWith("exporting needs libtorch, and NuGet cannot fetch libtorch-absent 2.10.0: NU1101: ", message);
        Assert.EndsWith("or let BAMBA_ONNX_LIBTORCH name a folder of its libraries", message);
    }

    [Fact]
    public void A_system_without_a_package_is_told()
    {
        IOException refused = Assert.Throws<IOException>(() =>
            LibTorchSource.Packaged(Console, null, TestContext.Current.CancellationToken)
        );
        Assert.Contains("no package of it for this system", refused.Message);
    }

    [Fact]
    public async Task A_named_folder_without_libtorch_is_refused()
    {
        CliRun run = await CliRun.In(
            new Dictionary<string, string> { ["BAMBA_ONNX_LIBTORCH"] = folder.Path },
            "export",
            TestData.TinyShakespeare,
            "-o",
            folder["out"]
        );
        Assert.Equal(3, run.ExitCode);
        Assert.Equal(
            $"error: BAMBA_ONNX_LIBTORCH is '{folder.Path}': expected a folder with {TorchNative.LibTorchFile}, found none there\n",
            run.Error
        );
        Assert.False(Directory.Exists(folder["out"]));
    }

    /// <summary>What a tool fetches is what the exporter is built and tested with.</summary>
    [Fact]
    public void It_is_the_package_that_the_exporter_is_built_with()
    {
        JsonNode built = JsonNode.Parse(
            File.ReadAllText(Path.Combine(TestData.Root, "exporter", "Bamba.Onnx.Exporter", "packages.lock.json"))
        )!["dependencies"]!["net10.0"]!["libtorch-cpu-linux-x64"]!;
        string[] systems = ["linux-x64", "osx-arm64", "win-x64"];
        LibTorchPackage[] packages = [.. systems.Select(LibTorchPackage.Of).OfType<LibTorchPackage>()];
        Assert.Equal(systems, packages.Select(package => package.RuntimeIdentifier));
        Assert.Equal(
            (built["resolved"]!.GetValue<string>(), built["contentHash"]!.GetValue<string>()),
            (packages[0].Version, packages[0].ContentHash)
        );
        Assert.All(packages, package => Assert.Equal(packages[0].Version, package.Version));
        Assert.Null(LibTorchPackage.Of("linux-riscv64"));
    }
}
