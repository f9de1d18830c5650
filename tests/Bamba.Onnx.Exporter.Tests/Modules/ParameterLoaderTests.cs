using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Modules;
using TorchSharp;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

public sealed class ParameterLoaderTests : IDisposable
{
    private readonly string path = Path.GetTempFileName();
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly BambaForCausalLM model = new(ReferenceCase.Config("two-groups"));

    public void Dispose()
    {
        File.Delete(path);
        scope.Dispose();
    }

    [Theory]
    [InlineData(ScalarType.Float32, "F32")]
    [InlineData(ScalarType.Float16, "F16")]
    [InlineData(ScalarType.BFloat16, "BF16")]
    public void Any_floating_type_is_converted_to_that_of_the_parameters(ScalarType type, string name)
    {
        Dictionary<string, Tensor> tensors = Tensors(type);
        Write(tensors, name);

        using var loaded = new BambaForCausalLM(model.Config, new BambaModuleOptions { Dtype = ScalarType.Float64 });
        Load(loaded);

        foreach ((string parameter, var values) in loaded.named_parameters())
        {
            Assert.Equal(ScalarType.Float64, values.dtype);
            Close.To(tensors[parameter].to_type(ScalarType.Float64), values, 0);
        }
    }

    [Fact]
    public void A_tied_head_and_rotary_frequencies_may_be_stored_as_well()
    {
        Dictionary<string, Tensor> tensors = Tensors(ScalarType.Float32);
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"];
        tensors["model.layers.1.self_attn.rotary_emb.inv_freq"] = ones(4);
        Write(tensors, "F32");

        Load(model);
    }

    [Fact]
    public void A_missing_tensor_is_named()
    {
        Dictionary<string, Tensor> tensors = Tensors(ScalarType.Float32);
        tensors.Remove("model.layers.0.mamba.dt_bias");
        Refused(tensors, "tensor model.layers.0.mamba.dt_bias: expected by the configuration, not found");
    }

    [Fact]
    public void An_unknown_tensor_is_named()
    {
        Dictionary<string, Tensor> tensors = Tensors(ScalarType.Float32);
        tensors["model.layers.0.mamba.conv1d.bias"] = ones(4);
        Refused(tensors, "tensor model.layers.0.mamba.conv1d.bias: the model of this configuration has none");
    }

    [Fact]
    public void A_wrong_shape_is_named()
    {
        Dictionary<string, Tensor> tensors = Tensors(ScalarType.Float32);
        tensors["model.final_layernorm.weight"] = ones(63);
        Refused(tensors, "tensor model.final_layernorm.weight: expected [64], found [63]");
    }

    [Fact]
    public void Integers_are_refused()
    {
        Dictionary<string, Tensor> tensors = Tensors(ScalarType.Int32);
        Write(tensors, "I32");
        var error = Assert.Throws<BambaFormatException>(() => Load(model));
        Assert.Contains("expected floating point, found i32", error.Message, StringComparison.Ordinal);
    }

    private void Refused(Dictionary<string, Tensor> tensors, string problem)
    {
        Write(tensors, "F32");
        var error = Assert.Throws<BambaFormatException>(() => Load(model));
        Assert.Equal($"{path}: {problem}", error.Message);
    }

    private void Load(BambaForCausalLM into)
    {
        using SafetensorsFile file = SafetensorsFile.Open(path);
        into.Load(file);
    }

    private Dictionary<string, Tensor> Tensors(ScalarType type) =>
        model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().to_type(type));

    private void Write(Dictionary<string, Tensor> tensors, string type)
    {
        var header = new Dictionary<string, object>();
        var data = new List<byte>();
        foreach ((string name, Tensor values) in tensors)
        {
            long start = data.Count;
            data.AddRange(values.contiguous().bytes);
            header[name] = new
            {
                dtype = type,
                values.shape,
                data_offsets = (long[])[start, data.Count],
            };
        }
        byte[] json = Encoding.UTF8.GetBytes(JsonSerializer.Serialize(header));
        using FileStream file = File.Create(path);
        file.Write(BitConverter.GetBytes((ulong)json.Length));
        file.Write(json);
        file.Write(CollectionsMarshal.AsSpan(data));
    }
}
