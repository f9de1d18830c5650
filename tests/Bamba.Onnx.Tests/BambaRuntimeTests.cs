using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests;

public sealed class BambaRuntimeTests : IDisposable
{
    private readonly string folder = ExportedModels.CopyOf(TestData.Case("base"));

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private string Refusal(string file)
    {
        BambaFormatException error = Assert.Throws<BambaFormatException>(() => BambaRuntime.Load(folder));
        Assert.Equal(Path.Combine(folder, file), error.Path);
        return error.Message;
    }

    [Theory]
    [InlineData("runtime.onnx")]
    [InlineData("model.onnx")]
    [InlineData("model.onnx.data")]
    public void A_missing_file_is_named(string file)
    {
        File.Delete(Path.Combine(folder, file));
        Assert.Contains("no such file", Refusal(file));
    }

    [Theory]
    [InlineData("runtime.onnx")]
    [InlineData("model.onnx.data")]
    public void A_file_cut_short_is_named_with_its_sizes(string file)
    {
        string path = Path.Combine(folder, file);
        long bytes = new FileInfo(path).Length;
        using (FileStream stream = File.OpenWrite(path))
        {
            stream.SetLength(bytes - 1);
        }
        Assert.Contains($"is damaged: expected {bytes} bytes, found {bytes - 1}", Refusal(file));
    }

    [Fact]
    public void A_graph_with_a_changed_byte_is_found_by_its_hash()
    {
        string path = Path.Combine(folder, "runtime.onnx");
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^20] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Contains("is damaged: expected SHA-256", Refusal("runtime.onnx"));
    }

    [Fact]
    public void A_folder_without_weights_is_refused()
    {
        string bare = ExportedModels.Of(TestData.Case("base"), new ExportOptions { Weights = false });
        Assert.Contains(
            "exported without weights",
            Assert.Throws<BambaFormatException>(() => BambaRuntime.Load(bare)).Message
        );
    }

    [Fact]
    public void Bfloat16_on_a_cpu_is_refused_with_what_to_do()
    {
        string bf16 = ExportedModels.Of(TestData.Case("base"), new ExportOptions { Dtype = ElementType.BFloat16 });
        BambaException error = Assert.Throws<BambaException>(() => BambaRuntime.Load(bf16));
        Assert.Contains("bfloat16", error.Message);
        Assert.Contains("--dtype f32", error.Message);
    }

    [Fact]
    public void Defaults_come_from_the_generation_config()
    {
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare));
        Assert.Equal([2044], runtime.Defaults.EosTokenIds);
        Assert.Equal((0.8, 0.95), (runtime.Defaults.Sampling.Temperature, runtime.Defaults.Sampling.TopP));
        Assert.Equal(200, runtime.Defaults.MaxNewTokens);
        using BambaRuntime plain = BambaRuntime.Load(folder);
        Assert.Equal(0, plain.Defaults.Sampling.Temperature);
    }

    [Theory]
    [InlineData("{\"do_sample\": true, \"temperature\": -1}", "temperature")]
    [InlineData("{\"eos_token_id\": [1.5]}", "generation_config.json")]
    [InlineData("{", "generation_config.json")]
    public void A_damaged_generation_config_is_refused(string text, string expected)
    {
        File.WriteAllText(Path.Combine(folder, "generation_config.json"), text);
        Assert.Contains(expected, Refusal("generation_config.json"));
    }
}
