using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Packages.Tests;

/// <summary>What somebody with nothing but .NET gets from the packages.</summary>
public sealed class PackageTests : IClassFixture<PackageFeed>
{
    private const string Prompt = "To be, or not to be";
    private const string FirstCommand = "dotnet new install Bamba.Onnx.Templates";
    private const long MostToolBytes = 250_000_000;

    /// <summary>From the start of a process to its first token.</summary>
    private static readonly TimeSpan MostToFirstToken = TimeSpan.FromMilliseconds(400);

    private const string Application = """
        using System.Diagnostics;
        using Bamba.Onnx;
        using Bamba.Onnx.Generation;
        using Bamba.Onnx.Sampling;

        using BambaRuntime runtime = BambaRuntime.Load(args[0]);
        var options = new GenerationOptions { MaxNewTokens = 48, Sampling = SamplingOptions.Greedy };
        await foreach (string piece in runtime.GenerateAsync(args[1], options))
        {
            Console.Write(piece);
        }
        foreach (ProcessModule module in Process.GetCurrentProcess().Modules)
        {
            Console.Error.WriteLine(module.FileName);
        }
        """;

    private readonly PackageFeed feed;

    public PackageTests(PackageFeed feed) => this.feed = feed;

    private static string Model => ExportedModels.Of(TestData.TinyShakespeare);

    [Fact]
    public async Task A_fresh_application_writes_text_after_three_commands()
    {
        using var place = new Workplace(feed.Path);

        await place.DotnetAsync("new", "console", "--output", "fresh");
        await File.WriteAllTextAsync(place["fresh/Program.cs"], Application);
        await place.DotnetAsync("add", "fresh", "package", "Bamba.Onnx");
        ProgramRun run = await place.DotnetAsync("run", "--project", "fresh", "--", Model, Prompt);

        Assert.Equal(await ExpectedAsync(48, SamplingOptions.Greedy), run.Out);
        // The native operators were found in what came with the package.
        Assert.Contains(place["fresh/bin"], run.Error);
        Assert.Contains("bamba_ops", run.Error);
    }

    [Fact]
    public async Task A_fresh_tool_is_small_and_exports_and_writes_text()
    {
        using var place = new Workplace(feed.Path);

        await place.DotnetAsync("tool", "install", "bamba-onnx", "--tool-path", "tools");
        string[] files = Directory.GetFiles(place["tools"], "*", SearchOption.AllDirectories);
        Assert.DoesNotContain(files, file => Path.GetFileName(file).Contains("torch_cpu", StringComparison.Ordinal));
        Assert.InRange(files.Sum(file => new FileInfo(file).Length), 1, MostToolBytes);

        ProgramRun export = await place.RunAsync(
            place["tools/bamba-onnx"],
            "export",
            TestData.TinyShakespeare,
            "--output",
            "exported"
        );
        Assert.Equal(place["exported"] + Environment.NewLine, export.Out);
        ProgramRun run = await place.RunAsync(
            place["tools/bamba-onnx"],
            ["run", "exported", "--prompt", Prompt, "--max-tokens", "48", "--temperature", "0"]
        );
        Assert.Equal((Prompt + await ExpectedAsync(48, SamplingOptions.Greedy)).TrimEnd(), run.Out.TrimEnd());
    }

    /// <summary>The commands are those of README.md.</summary>
    [Fact]
    public async Task Three_commands_lead_from_nothing_to_text()
    {
        using var place = new Workplace(feed.Path);
        string readme = await File.ReadAllTextAsync(Path.Combine(TestData.Root, "README.md"));
        string[] commands = readme[readme.IndexOf(FirstCommand, StringComparison.Ordinal)..].Split('\n')[..3];

        ProgramRun? run = null;
        foreach (string command in commands)
        {
            Assert.StartsWith("dotnet ", command);
            run = await place.DotnetAsync(command.Split(' ')[1..]);
        }

        Assert.Equal(await StoryAsync(), run!.Out);
    }

    [Fact]
    public async Task An_application_of_the_template_compiles_ahead_of_time_and_soon_writes_its_first_token()
    {
        using var place = new Workplace(feed.Path);
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the system's linker is known on Linux only");
        string? compiler = FindCommand("clang") ?? FindCommand("gcc");
        Assert.SkipWhen(compiler is null, "there is neither clang nor gcc to link what is compiled ahead of time");

        await place.DotnetAsync(FirstCommand.Split(' ')[1..]);
        await place.DotnetAsync("new", "bamba", "--output", "story", "--aot");
        ProgramRun publish = await place.DotnetAsync(
            "publish",
            "story",
            "--output",
            "published",
            $"-p:CppCompilerAndLinker={compiler}"
        );

        Assert.DoesNotContain("warning", publish.Out);
        Assert.False(File.Exists(place["published/story.dll"]));
        Assert.Equal(await StoryAsync(), (await place.RunAsync(place["published/story"])).Out);
        // Other tests run meanwhile; a slow machine slows every run, chance does not.
        TimeSpan best = Enumerable.Range(0, 15).Min(_ => FirstToken.TimeTo(place["published/story"], Prompt));
        Assert.InRange(best, TimeSpan.Zero, MostToFirstToken);
    }

    [Fact]
    public void Packages_say_what_they_hold()
    {
        Assert.All(
            (string[])["Bamba.Onnx", "Bamba.Onnx.Templates", "bamba-onnx", "Bamba.Onnx.CustomOps"],
            id => Assert.Contains("README.md", feed.Entries(id))
        );
        foreach (
            (string id, string assembly) in ((string, string)[])
                [
                    ("Bamba.Onnx.Contract", "Bamba.Onnx.Contract"),
                    ("Bamba.Onnx.Hub", "Bamba.Onnx.Hub"),
                    ("Bamba.Onnx.Managed", "Bamba.Onnx"),
                ]
        )
        {
            Assert.Superset(
                new HashSet<string>([$"lib/net10.0/{assembly}.dll", $"lib/net10.0/{assembly}.xml", "README.md"]),
                new HashSet<string>(feed.Entries(id))
            );
            Assert.Contains($"lib/net10.0/{assembly}.pdb", feed.Entries(id, "snupkg"));
        }
    }

    [Fact]
    public async Task Native_operators_of_several_systems_join_in_a_package_that_names_them()
    {
        _ = feed.Path;
        using var folder = new TemporaryFolder();
        // These stand in for what other machines built.
        (string RuntimeIdentifier, string File)[] others =
        [
            ("win-arm64", "bamba_ops.dll"),
            ("linux-riscv64", "libbamba_ops.so"),
            ("linux-riscv64", "libbamba_ops_cuda.so"),
        ];
        foreach ((string runtimeIdentifier, string file) in others)
        {
            Directory.CreateDirectory(folder[$"built/{runtimeIdentifier}"]);
            await File.WriteAllTextAsync(folder[$"built/{runtimeIdentifier}/{file}"], file);
        }

        await PackageFeed.PackAsync(
            "packaging/Bamba.Onnx.CustomOps",
            folder["feed"],
            $"-p:NativeLibraries={folder["built"]}"
        );

        const string id = "Bamba.Onnx.CustomOps";
        IReadOnlyList<string> entries = PackageFeed.EntriesIn(folder["feed"], id);
        Assert.Contains($"runtimes/{PackageFeed.RuntimeIdentifier}/native/{CustomOps.FileName}", entries);
        Assert.All(
            others,
            other => Assert.Contains($"runtimes/{other.RuntimeIdentifier}/native/{other.File}", entries)
        );
        string description = PackageFeed.Nuspec(folder["feed"], id);
        Assert.Contains(
            $"Kernels for processors: {PackageFeed.RuntimeIdentifier}, linux-riscv64, win-arm64. For CUDA: ",
            description
        );
        Assert.Contains("linux-riscv64.</description>", description);
    }

    [Fact]
    public void A_package_without_kernels_for_cuda_says_so()
    {
        const string id = "Bamba.Onnx.CustomOps";
        bool has = feed.Entries(id).Any(entry => entry.Contains("cuda", StringComparison.Ordinal));
        Assert.Equal(
            !has,
            PackageFeed
                .Nuspec(feed.Path, id)
                .Contains(
                    $"Kernels for processors only: {PackageFeed.RuntimeIdentifier}. None for CUDA.",
                    StringComparison.Ordinal
                )
        );
    }

    /// <summary>What an application of the template writes.</summary>
    private static async Task<string> StoryAsync() =>
        Prompt + await ExpectedAsync(100, new SamplingOptions { Temperature = 0.8, Seed = 1 }) + Environment.NewLine;

    /// <summary>What the library of this build writes after the prompt.</summary>
    private static async Task<string> ExpectedAsync(int tokens, SamplingOptions sampling)
    {
        using BambaRuntime runtime = BambaRuntime.Load(Model);
        var options = new GenerationOptions { MaxNewTokens = tokens, Sampling = sampling };
        return (await runtime.CompleteAsync(Prompt, options)).Text;
    }

    private static string? FindCommand(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Any(folder => File.Exists(Path.Combine(folder, name)))
            ? name
            : null;
}
