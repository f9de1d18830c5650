using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Checkpoint;

public sealed class CheckpointFolderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public CheckpointFolderTests() =>
        File.Copy(Path.Combine(TestData.Case("base"), ModelFiles.Config), folder[ModelFiles.Config]);

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_single_file_gives_config_tensors_and_bytes()
    {
        using CheckpointFolder checkpoint = CheckpointFolder.Open(TestData.TinyShakespeare);
        using SafetensorsFile file = SafetensorsFile.Open(
            Path.Combine(TestData.TinyShakespeare, ModelFiles.Checkpoint)
        );

        Assert.Equal(192, checkpoint.Config.HiddenSize);
        Assert.Equal(file.Tensors.Count, checkpoint.Tensors.Count);
        CheckpointTensor tensor = checkpoint.Tensors["model.layers.3.mamba.in_proj.weight"];
        Assert.Equal(ElementType.BFloat16, tensor.Type);
        byte[] expected = new byte[100];
        byte[] found = new byte[100];
        file.Read(file.Tensors[tensor.Name], 50, expected);
        checkpoint.Read(tensor.Name, 50, found);
        Assert.Equal(expected, found);
        checkpoint.RequireTensors(BambaTensors.Of(checkpoint.Config));
    }

    [Fact]
    public void Shards_give_the_tensors_of_all_files()
    {
        WriteShards();
        WriteIndex(("model.a", "one.safetensors"), ("model.b", "two.safetensors"));

        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder.Path);

        Assert.Equal(["model.a", "model.b"], checkpoint.Tensors.Keys.Order());
        Assert.Equal(folder["two.safetensors"], checkpoint.Tensors["model.b"].File);
        byte[] bytes = new byte[4];
        checkpoint.Read("model.b", 4, bytes);
        Assert.Equal([5, 6, 7, 8], bytes);
    }

    [Fact]
    public void Names_of_the_bare_model_show_their_canonical_form()
    {
        RawSafetensors.Write(
            folder[ModelFiles.Checkpoint],
            ("embed_tokens.weight", ElementType.Float32, [1]),
            ("layers.0.mamba.D", ElementType.Float32, [1]),
            ("lm_head.weight", ElementType.Float32, [1])
        );

        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder.Path);

        Assert.Equal(
            ["lm_head.weight", "model.embed_tokens.weight", "model.layers.0.mamba.D"],
            checkpoint.Tensors.Keys.Order(StringComparer.Ordinal)
        );
        byte[] bytes = new byte[4];
        checkpoint.Read("model.layers.0.mamba.D", 0, bytes);
        Assert.Equal([1, 2, 3, 4], bytes);
    }

    [Fact]
    public void A_missing_folder_config_or_weights_are_named()
    {
        AssertRefused(folder["none"], "none: no such folder");
        AssertRefused(folder.Path, "expected model.safetensors or model.safetensors.index.json, found neither");
        File.Delete(folder[ModelFiles.Config]);
        AssertRefused(folder.Path, "config.json: no such file");
    }

    [Theory]
    [InlineData("pytorch_model.bin")]
    [InlineData("pytorch_model-00001-of-00002.bin")]
    [InlineData("consolidated.00.pth")]
    public void Pickled_weights_are_refused_with_the_way_out(string name)
    {
        File.WriteAllBytes(folder[name], [0x80, 2]);

        AssertRefused(folder.Path, $"({name})");
        AssertRefused(folder.Path, "convert the checkpoint to safetensors");
    }

    [Theory]
    [InlineData("../one.safetensors")]
    [InlineData("sub/one.safetensors")]
    [InlineData(@"..\\one.safetensors")]
    [InlineData("/etc/one.safetensors")]
    [InlineData("C:one.safetensors")]
    [InlineData("one.safetensors\\u0000")]
    [InlineData("..")]
    [InlineData("one.bin")]
    [InlineData("")]
    public void An_index_that_points_out_of_its_folder_is_refused(string shard)
    {
        WriteShards();
        File.Copy(
            folder["one.safetensors"],
            Path.Combine(Directory.CreateDirectory(folder["sub"]).FullName, "one.safetensors")
        );
        WriteIndex(("model.a", shard));

        AssertRefused(folder.Path, "tensor model.a: expected the name of a .safetensors file in the same folder");
    }

    [Theory]
    [InlineData("""{"weight_map": {"model.a": "one.safetensors",""", "expected JSON")]
    [InlineData("""{"weight_map": {"model.a": "one.safetensors", "model.a": "two.safetensors"}}""", "Duplicate")]
    [InlineData("""{"weight_map": ["one.safetensors"]}""", "weight_map: expected an object")]
    [InlineData("""{"metadata": {}}""", "weight_map: expected an object")]
    [InlineData("[]", "weight_map: expected an object")]
    [InlineData("""{"weight_map": {}}""", "weight_map: expected tensors, found none")]
    [InlineData("""{"weight_map": {"model.a": 1}}""", "tensor model.a: expected the name of a .safetensors file")]
    public void A_damaged_index_is_refused(string json, string problem)
    {
        WriteShards();
        File.WriteAllText(folder[ModelFiles.CheckpointIndex], json);

        AssertRefused(folder.Path, problem);
    }

    [Fact]
    public void An_index_that_disagrees_with_the_shards_is_refused()
    {
        WriteShards();

        WriteIndex(("model.a", "one.safetensors"), ("model.b", "three.safetensors"));
        AssertRefused(folder.Path, "names the shard three.safetensors, which the folder lacks");

        WriteIndex(("model.a", "one.safetensors"), ("model.b", "one.safetensors"));
        AssertRefused(folder.Path, "tensor model.b: expected in one.safetensors, which lacks it");

        RawSafetensors.Write(
            folder["two.safetensors"],
            ("model.b", ElementType.Float32, [2]),
            ("model.a", ElementType.Float32, [2])
        );
        WriteIndex(("model.a", "one.safetensors"), ("model.b", "two.safetensors"));
        AssertRefused(folder.Path, "tensor model.a: expected in one.safetensors alone, found in two.safetensors too");

        RawSafetensors.Write(
            folder["two.safetensors"],
            ("model.b", ElementType.Float32, [2]),
            ("model.c", ElementType.Float32, [2])
        );
        AssertRefused(folder.Path, "tensor model.c: found in two.safetensors, which the index does not say");
    }

    [Fact]
    public void A_damaged_shard_is_refused_and_no_file_stays_open()
    {
        WriteShards();
        WriteIndex(("model.a", "one.safetensors"), ("model.b", "two.safetensors"));
        File.WriteAllBytes(folder["two.safetensors"], [1, 2, 3]);

        AssertRefused(folder.Path, "two.safetensors: expected a safetensors header, found a file of 3 bytes");

        // An open handle would not share the first shard with a writer.
        using FileStream stream = new(folder["one.safetensors"], FileMode.Open, FileAccess.Write, FileShare.None);
    }

    [Fact]
    public void An_unknown_tensor_cannot_be_read()
    {
        using CheckpointFolder checkpoint = CheckpointFolder.Open(TestData.TinyShakespeare);

        var error = Assert.Throws<ArgumentException>(() => checkpoint.Read("model.x", 0, new byte[1]));

        Assert.Contains("has no tensor model.x", error.Message, StringComparison.Ordinal);
    }

    private static void AssertRefused(string path, string problem)
    {
        var error = Assert.Throws<BambaFormatException>(() => CheckpointFolder.Open(path));
        Assert.Contains(problem, error.Message, StringComparison.Ordinal);
    }

    private void WriteShards()
    {
        RawSafetensors.Write(folder["one.safetensors"], ("model.a", ElementType.Float32, [2]));
        RawSafetensors.Write(folder["two.safetensors"], ("model.b", ElementType.Float32, [2]));
    }

    private void WriteIndex(params (string Tensor, string Shard)[] entries)
    {
        IEnumerable<string> map = entries.Select(entry => $"\"{entry.Tensor}\": \"{entry.Shard}\"");
        File.WriteAllText(folder[ModelFiles.CheckpointIndex], $"{{\"weight_map\": {{{string.Join(", ", map)}}}}}");
    }
}
