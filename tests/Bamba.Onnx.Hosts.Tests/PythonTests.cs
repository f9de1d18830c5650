using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hosts.Tests;

public sealed class PythonTests
{
    private static readonly string Folder = Path.Combine(HostProcess.Hosts, "python");

    [Fact]
    public async Task Onnxruntime_writes_what_Hugging_Face_writes()
    {
        HostProcess run = await HostProcess.RunAsync(
            Folder,
            await PythonWithOrSkipAsync("onnxruntime"),
            ["generate.py", Reference.Model, $"{Reference.Count}"],
            Reference.PromptLines
        );
        Assert.Equal(Reference.TokenLines, run.Out);
        HostTable.Saw("Python", run.Error.Trim(), "model.onnx", "5 prompts × 48 tokens");
    }

    [Fact]
    public async Task Graphs_pass_the_checker_of_onnx_with_shapes_inferred()
    {
        ExportLayout layout = ModelManifest.Load(Reference.Model).Layout;
        await HostProcess.RunAsync(
            Folder,
            await PythonWithOrSkipAsync("onnx"),
            ["check.py", .. layout.Profiles.Select(profile => Path.Combine(Reference.Model, layout.Graph(profile)))]
        );
    }

    /// <summary>A Python that has a package; the test is skipped where none has.</summary>
    private static async Task<string> PythonWithOrSkipAsync(string package)
    {
        foreach (string python in (string[])["python3", "python"])
        {
            if (await HostProcess.TryRunAsync(Folder, python, ["-c", $"import {package}"]) is { ExitCode: 0 })
            {
                return python;
            }
        }
        Assert.Skip($"no Python here has {package}: pip install -r tests/Hosts/python/requirements.txt");
        return "";
    }
}
