using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>A checkpoint loaded into modules, and what Hugging Face computes with it. No gradients, one dispose scope.</summary>
internal sealed class ReferenceCase : IDisposable
{
    private readonly IDisposable noGradients = no_grad();
    private readonly DisposeScope scope = NewDisposeScope();

    private ReferenceCase(string folder, SafetensorsValues data)
    {
        Data = data;
        Model = LoadModel(folder);
        Model.eval();
    }

    public SafetensorsValues Data { get; }

    public BambaForCausalLM Model { get; }

    public static ReferenceCase Open(string name) => new(TestData.Case(name), ReferenceData.OfCase(name));

    public static ReferenceCase OpenTinyShakespeare() =>
        new(TestData.TinyShakespeare, ReferenceData.OfTinyShakespeare());

    public static BambaConfig Config(string name) => BambaConfig.Load(Path.Combine(TestData.Case(name), "config.json"));

    public static BambaForCausalLM LoadModel(
        string folder,
        Func<BambaConfig, BambaConfig>? change = null,
        BambaModuleOptions? options = null
    )
    {
        BambaConfig config = BambaConfig.Load(Path.Combine(folder, "config.json"));
        var model = new BambaForCausalLM(change?.Invoke(config) ?? config, options);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        model.Load(file);
        return model;
    }

    public Tensor Longs(string name) => tensor(Data.Longs(name), Data.Shape(name));

    public Tensor Ints(string name) => tensor(Data.Ints(name), Data.Shape(name));

    public Tensor Floats(string name) => tensor(Data.Floats(name), Data.Shape(name));

    public void Dispose()
    {
        Model.Dispose();
        Data.Dispose();
        scope.Dispose();
        noGradients.Dispose();
    }
}
