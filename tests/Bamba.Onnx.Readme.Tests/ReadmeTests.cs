using System.Diagnostics;

namespace Bamba.Onnx.Readme.Tests;

/// <summary>Every snippet of README.md runs as it is printed there.</summary>
public sealed class ReadmeTests : IClassFixture<ReadmeFolder>
{
    private const string CSharp = "csharp";
    private const string Shell = "sh";

    /// <summary>This one runs the tests, so that no test can run it.</summary>
    private const string Tests = "dotnet test\n";

    private readonly ReadmeFolder folder;

    public ReadmeTests(ReadmeFolder folder) => this.folder = folder;

    public static TheoryData<int> CSharpSnippets => Snippet.LinesOf(CSharp);

    public static TheoryData<int> ShellSnippets => Snippet.LinesOf(Shell, except: Tests);

    [Theory]
    [MemberData(nameof(CSharpSnippets))]
    public void A_program_compiles_without_warnings_and_writes(int line) =>
        Assert.NotEmpty(CSharpProgram.Run(CSharpProgram.Compile(Snippet.At(line).Text), folder.Path));

    [Theory]
    [MemberData(nameof(ShellSnippets))]
    public async Task A_command_succeeds(int line)
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "there is no sh(1) here");
        string text = Snippet.At(line).Text;
        var start = new ProcessStartInfo("/bin/sh", ["-euc", text])
        {
            WorkingDirectory = folder.Path,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["PATH"] = $"{folder.Path}:{start.Environment["PATH"]}";
        start.Environment["BAMBA_ONNX_CACHE"] = folder.Cache;
        start.Environment["HF_HUB_CACHE"] = folder.HubCache;
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        Task<string> error = process.StandardError.ReadToEndAsync();
        Assert.NotEmpty(await process.StandardOutput.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, await error);
    }

    /// <summary>Fences of another language would be passed over, and so would a fence that is never closed.</summary>
    [Fact]
    public void No_snippet_is_of_a_language_that_nobody_runs() =>
        Assert.All(
            Snippet.All,
            snippet => Assert.Contains(snippet.Language, (string[])[CSharp, Shell, "python", "console", ""])
        );

    [Fact]
    public void What_Hugging_Face_does_is_followed_by_what_is_done_here()
    {
        Snippet[] theirs = [.. Snippet.All.Where(snippet => snippet.Language is "python" or "console")];
        Assert.NotEmpty(theirs);
        Assert.All(
            theirs,
            snippet =>
                Assert.Equal(
                    snippet.Language == "python" ? CSharp : Shell,
                    Snippet.All.First(other => other.Line > snippet.Line).Language
                )
        );
    }
}
