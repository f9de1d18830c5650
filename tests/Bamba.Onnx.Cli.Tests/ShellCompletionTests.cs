using System.Diagnostics;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

/// <summary>The completion scripts in the shells that they are for, asking the built command.</summary>
public sealed class ShellCompletionTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public ShellCompletionTests()
    {
        foreach (string name in (string[])["model-a", "model-b", "my folder/inside"])
        {
            Directory.CreateDirectory(folder[name]);
        }
    }

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("bench", "be")]
    [InlineData("--dtype", "export", "--dt")]
    [InlineData("bf16|f16|f32", "export", "--dtype", "")]
    // bash breaks words at "=".
    [InlineData("bf16", "export", "--dtype", "=", "b")]
    [InlineData("all|last", "export", "--logits", "=")]
    [InlineData("model-a|model-b", "export", "model-")]
    [InlineData("my folder", "inspect", @"my\ f")]
    [InlineData("my folder/inside", "inspect", "'my folder/")]
    [InlineData("", "run", "--prompt", "")]
    public async Task Bash_completes(string expected, params string[] words)
    {
        string typed = words[^1] == "=" ? "" : words[^1];
        string[] script =
        [
            "source <(bamba-onnx completion bash)",
            $"COMP_WORDS=(bamba-onnx {string.Join(' ', words.Select(Quoted))}) COMP_CWORD={words.Length}",
            $"_bamba_onnx bamba-onnx {Quoted(typed)}",
            "IFS='|'; printf %s \"${COMPREPLY[*]}\"",
        ];
        Assert.Equal(expected, await Run("bash", "--norc", "-c", string.Join('\n', script)));
    }

    [Theory]
    [InlineData("bench", "be")]
    [InlineData("bf16|f16|f32", "export", "--dtype", "")]
    [InlineData("--logits=last", "export", "--logits=l")]
    [InlineData("model-a/|model-b/", "export", "model-")]
    [InlineData("my folder/", "inspect", @"my\ f")]
    public async Task Zsh_completes(string expected, params string[] words)
    {
        // Outside its editor zsh has no compadd; the stand-in prints what is added.
        string[] script =
        [
            "compdef() { }",
            "compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rn -- \"${(j:|:)@}\"; }",
            "source <(bamba-onnx completion zsh)",
            $"words=(bamba-onnx {string.Join(' ', words.Select(Quoted))}) CURRENT={words.Length + 1}",
            $"PREFIX={Quoted(words[^1])} _bamba_onnx",
        ];
        Assert.Equal(expected, await Run("zsh", "-f", "-c", string.Join('\n', script)));
    }

    [Theory]
    [InlineData("bench", "bamba-onnx be")]
    [InlineData("bf16|f16|f32", "bamba-onnx export --dtype ")]
    [InlineData("--logits=last", "bamba-onnx export --logits=l")]
    [InlineData("model-a/|model-b/", "bamba-onnx export model-")]
    [InlineData("my folder/", @"bamba-onnx inspect my\ f")]
    public async Task Fish_completes(string expected, string line) =>
        Assert.Equal(
            expected,
            await Run(
                "fish",
                "--no-config",
                "-c",
                $"bamba-onnx completion fish | source; complete -C {Quoted(line.Replace(@"\", @"\\", StringComparison.Ordinal))} | string join '|'"
            )
        );

    [Theory]
    [InlineData("bench", "bamba-onnx be")]
    [InlineData("bf16|f16|f32", "bamba-onnx export --dtype ")]
    [InlineData("model-a/|model-b/", "bamba-onnx export model-")]
    public async Task PowerShell_completes(string expected, string line)
    {
        string[] script =
        [
            "bamba-onnx completion pwsh | Out-String | Invoke-Expression",
            $"(TabExpansion2 '{line}' {line.Length}).CompletionMatches.CompletionText -join '|'",
        ];
        Assert.Equal(expected, await Run("pwsh", "-NoProfile", "-Command", string.Join('\n', script)));
    }

    private static string Quoted(string word) => $"'{word.Replace("'", @"'\''", StringComparison.Ordinal)}'";

    /// <summary>What a shell prints, with the built command first on its path.</summary>
    private async Task<string> Run(string shell, params string[] args)
    {
        string[] path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the paths of these tests are not Windows'");
        Assert.SkipUnless(path.Any(place => File.Exists(Path.Combine(place, shell))), $"there is no {shell} here");
        var start = new ProcessStartInfo(shell, args)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder.Path,
        };
        start.Environment["PATH"] = string.Join(Path.PathSeparator, [AppContext.BaseDirectory, .. path]);
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal("", await error);
        return output.TrimEnd('\r', '\n');
    }
}
