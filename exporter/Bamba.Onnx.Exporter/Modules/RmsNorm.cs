using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// Root mean square norm (Zhang and Sennrich 2019; Hugging Face's <c>BambaRMSNorm</c>):
/// <c>weight · x / sqrt(mean(x²) + epsilon)</c> over the last axis. The quotient is rounded to the type of x before the weight.
/// </summary>
public sealed class RmsNorm : BambaModule<Tensor, Tensor>
{
    /// <summary>Creates the norm of a residual stream, with a weight of ones.</summary>
    public RmsNorm(string path, BambaConfig config, BambaModuleOptions options)
        : base(path, config)
    {
        Weight = options.NewParameter(config.HiddenSize);
        RegisterComponents();
    }

    /// <summary>The gain, [hidden_size].</summary>
    [field: ComponentName(Name = "weight")]
    public Parameter Weight { get; }

    /// <summary>What is added to the mean square.</summary>
    public double Epsilon => Config.RmsNormEps;

    /// <summary>Normalises.</summary>
    /// <param name="input">[…, hidden_size].</param>
    /// <returns>[…, hidden_size], of the same type.</returns>
    public override Tensor forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor unit = Normalize(input.Widen(), Epsilon).to_type(input.dtype);
        return (Weight * unit).MoveToOuterDisposeScope();
    }

    internal static Tensor Normalize(Tensor wide, double epsilon) =>
        wide * rsqrt(wide.square().mean([-1], keepdim: true).Plus(epsilon));
}
