using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Testing;

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

    [Fact]
    public async Task Transformers_js_reads_weights_from_several_files()
    {
        string folder = await NpmFolder.WithPackagesOrSkipAsync("node");
        Assert.True(File.Exists(Path.Combine(Reference.SplitModel, "onnx", "model.onnx_data_2")));
        ReferencePrompt prompt = Reference.Prompts[0];
        HostProcess run = await HostProcess.RunAsync(
            folder,
            "node",
            ["pipeline.mjs", Reference.SplitModel, .. Count],
            JsonSerializer.Serialize(prompt.Text)
        );
        Assert.Equal(prompt.Continuation, JsonSerializer.Deserialize<string>(run.Out));
    }

    [Theory]
    [InlineData(ElementType.Float16, null)]
    [InlineData(ElementType.Float32, 8)]
    [InlineData(ElementType.Float32, 4)]
    public async Task Transformers_js_finds_and_runs_every_type_of_weights(ElementType dtype, int? bits)
    {
        string folder = await NpmFolder.WithPackagesOrSkipAsync("node");
        using var model = new TemporaryFolder();
        BambaExporter.Export(
            TestData.TinyShakespeare,
            model["model"],
            new ExportOptions
            {
                Profiles = [GraphProfile.Web],
                Dtype = dtype,
                Quantization = FewBits.Of(bits),
            }
        );
        ReferencePrompt prompt = Reference.Prompts[0];
        HostProcess run = await HostProcess.RunAsync(
            folder,
            "node",
            ["pipeline.mjs", model["model"], "4"],
            JsonSerializer.Serialize(prompt.Text)
        );
        string written = JsonSerializer.Deserialize<string>(run.Out)!;
        Assert.NotEmpty(written);
        Assert.StartsWith(written, prompt.Continuation, StringComparison.Ordinal);
    }
}
