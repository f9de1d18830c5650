using System.Text.Json;
using System.Text.RegularExpressions;

namespace Bamba.Onnx.Hosts.Tests;

public sealed partial class BrowserTests
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "chrome"];

    [Fact]
    public async Task A_page_in_headless_Chromium_types_what_Hugging_Face_writes() =>
        HostTable.Saw(
            "browser",
            $"{await TypeAsync(Reference.Model, Reference.Prompts)}, WebAssembly in headless Chromium",
            "onnx/model.onnx",
            "5 prompts × 48 tokens, text to text"
        );

    [Fact]
    public async Task The_page_reads_weights_from_several_files() =>
        await TypeAsync(Reference.SplitModel, [Reference.Prompts[0]]);

    /// <summary>Lets the page continue prompts, holds what it types to the reference, and tells the version that it runs on.</summary>
    private static async Task<string> TypeAsync(string model, IReadOnlyList<ReferencePrompt> prompts)
    {
        string? chromium = FindChromium();
        Assert.SkipWhen(chromium is null, $"no program is called {string.Join(", ", Names)}");
        string folder = await NpmFolder.WithPackagesOrSkipAsync("browser");
        string[] picture = HostTable.IsWriting && model == Reference.Model ? [Path.Combine(folder, "page.png")] : [];
        HostProcess run = await HostProcess.RunAsync(
            folder,
            "node",
            ["drive.mjs", chromium!, model, .. picture],
            string.Concat(prompts.Select(prompt => $"{JsonSerializer.Serialize(prompt.Text)}\n"))
        );
        Assert.Equal(
            prompts.Select(prompt => prompt.Continuation),
            run.Out.TrimEnd('\n').Split('\n').Select(line => JsonSerializer.Deserialize<string>(line))
        );
        // Nothing else: what the page says on its console would be there too.
        Match status = Status().Match(run.Error.Trim());
        Assert.True(status.Success, run.Error);
        TestContext.Current.TestOutputHelper?.WriteLine(run.Error.Trim());
        return status.Groups["version"].Value;
    }

    private static string? FindChromium() =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .SelectMany(folder => Names.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);

    [GeneratedRegex(@"^(?<version>onnxruntime-web [\d.]+), WebAssembly: [1-9]\d* tokens a second$")]
    private static partial Regex Status();
}
