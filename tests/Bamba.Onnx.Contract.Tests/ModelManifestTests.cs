namespace Bamba.Onnx.Contract.Tests;

public sealed class ModelManifestTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("bamba-manifest-").FullName;

    private static ModelManifest Example() =>
        new()
        {
            FormatVersion = ModelManifest.CurrentFormatVersion,
            Producer = "bamba-onnx 0.1.0",
            Source = new ManifestSource { ModelType = "bamba", Sha256 = "ab" },
            Options = new ManifestOptions
            {
                Dtype = ElementType.Float16,
                Weights = true,
                ContextLength = 128,
                Logits = LogitsPositions.Last,
            },
            Parameters = 7,
            Files = [new ManifestFile("model.onnx", 3, "cd")],
        };

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void A_manifest_survives_writing_and_reading()
    {
        Example().Save(folder);
        ModelManifest read = ModelManifest.Load(folder);
        Assert.Equal(Example().Options, read.Options);
        Assert.Equal(Example().Files, read.Files);
        string text = File.ReadAllText(Path.Combine(folder, "bamba.json"));
        Assert.Contains("\"format_version\": 1", text);
        Assert.Contains("\"dtype\": \"f16\"", text);
        Assert.Contains("\"logits\": \"last\"", text);
    }

    [Theory]
    [InlineData("model.onnx.data", true)]
    [InlineData("model.onnx.data_1", true)]
    [InlineData("model.onnx.data_12", true)]
    [InlineData("model.onnx.data_0", false)]
    [InlineData("model.onnx.data_01", false)]
    [InlineData("model.onnx.data_", false)]
    [InlineData("model.onnx.data-1", false)]
    [InlineData("model.onnx.data.tmp", false)]
    [InlineData("model.onnx", false)]
    public void Weights_are_known_by_their_names(string name, bool isWeights)
    {
        Assert.Equal(isWeights, ModelFiles.IsWeights(name, ModelFiles.Weights));
        ManifestFile[] others =
        [
            new ManifestFile("model.onnx.data_2", 20, ""),
            new ManifestFile("runtime.onnx", 9, ""),
        ];
        ModelManifest manifest = Example() with { Files = [new ManifestFile(name, 3, ""), .. others] };
        Assert.Equal(isWeights ? 23 : 20, manifest.WeightBytes);
    }

    [Theory]
    [InlineData("{\"format_version\": 2}", "format_version: expected 1 to 1, found 2")]
    [InlineData("{\"format_version\": 0}", "format_version: expected 1 to 1, found 0")]
    [InlineData("{}", "is damaged")]
    [InlineData("{\"format_version\": 1}", "is damaged")]
    [InlineData("nonsense", "is damaged")]
    public void A_newer_or_damaged_manifest_is_refused(string text, string expected)
    {
        File.WriteAllText(Path.Combine(folder, "bamba.json"), text);
        Assert.Contains(expected, Assert.Throws<BambaFormatException>(() => ModelManifest.Load(folder)).Message);
    }

    [Fact]
    public void A_folder_that_is_missing_or_no_export_is_named()
    {
        Assert.Contains(
            "is not an exported model",
            Assert.Throws<BambaFormatException>(() => ModelManifest.Load(folder)).Message
        );
        string absent = Path.Combine(folder, "absent");
        Assert.Equal(
            $"{absent}: no such folder",
            Assert.Throws<BambaFormatException>(() => ModelManifest.Load(absent)).Message
        );
    }
}
