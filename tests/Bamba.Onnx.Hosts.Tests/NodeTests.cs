using System.Text.Json;

namespace Bamba.Onnx.Hosts.Tests;

public sealed class NodeTests
{
    private static readonly string[] Count = [$"{Reference.Count}"];

    [Fact]
    public async Task Onnxruntime_node_writes_what_Hugging_Face_writes()
    {
        string folder = await NpmFolder.WithPackagesOrSkipAsync("node");
        HostProcess run = await HostProcess.RunAsync(
            folder,
            "node",
            ["generate.mjs", Reference.Model, .. Count],
            Reference.PromptLines
        );
        Assert.Equal(Reference.TokenLines, run.Out);
        HostTable.Saw("Node", run.Error.Trim(), "model.onnx", "5 prompts × 48 tokens");
    }

    [Fact]
    public async Task Transformers_js_writes_what_Hugging_Face_writes()
    {
        string folder = await NpmFolder.WithPackagesOrSkipAsync("node");
        HostProcess run = await HostProcess.RunAsync(
            folder,
            "node",
            ["pipeline.mjs", Reference.Model, .. Count],
            string.Concat(Reference.Prompts.Select(prompt => $"{JsonSerializer.Serialize(prompt.Text)}\n"))
        );
        Assert.Equal(
            Reference.Prompts.Select(prompt => prompt.Continuation),
            run.Out.TrimEnd('\n').Split('\n').Select(line => JsonSerializer.Deserialize<string>(line))
        );
        HostTable.Saw(
            "transformers.js in Node",
            run.Error.Trim(),
            "onnx/model.onnx",
            "5 prompts × 48 tokens, text to text"
        );
    }
}
