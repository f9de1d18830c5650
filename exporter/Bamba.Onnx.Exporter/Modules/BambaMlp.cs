using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>The gated feed-forward network of every layer (SwiGLU, Shazeer 2020): <c>down(silu(gate(x)) · up(x))</c>.</summary>
public sealed class BambaMlp : BambaModule<Tensor, Tensor>
{
    /// <summary>Creates the network of one layer.</summary>
    public BambaMlp(string path, BambaConfig config, BambaModuleOptions options)
        : base(path, config)
    {
        GateProj = options.NewLinear(config.HiddenSize, config.IntermediateSize, config.MlpBias);
        UpProj = options.NewLinear(config.HiddenSize, config.IntermediateSize, config.MlpBias);
        DownProj = options.NewLinear(config.IntermediateSize, config.HiddenSize, config.MlpBias);
        RegisterComponents();
    }

    /// <summary>Weight [intermediate_size, hidden_size].</summary>
    [field: ComponentName(Name = "gate_proj")]
    public Linear GateProj { get; }

    /// <summary>Weight [intermediate_size, hidden_size].</summary>
    [field: ComponentName(Name = "up_proj")]
    public Linear UpProj { get; }

    /// <summary>Weight [hidden_size, intermediate_size].</summary>
    [field: ComponentName(Name = "down_proj")]
    public Linear DownProj { get; }

    /// <summary>Computes the network.</summary>
    /// <param name="input">[…, hidden_size].</param>
    /// <returns>[…, hidden_size].</returns>
    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        return DownProj.call(nn.functional.silu(GateProj.call(input)) * UpProj.call(input)).MoveToOuterDisposeScope();
    }
}
