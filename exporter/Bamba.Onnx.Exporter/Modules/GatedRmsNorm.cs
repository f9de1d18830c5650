using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// The norm behind the scan (Hugging Face's <c>BambaRMSNormGated</c>, mamba_ssm's <c>RMSNormGated</c> with
/// <c>norm_before_gate=False</c>): the gate <c>silu(z)</c> multiplies before the mean square is taken.
/// </summary>
public sealed class GatedRmsNorm : BambaModule<(Tensor Hidden, Tensor Gate), Tensor>
{
    /// <summary>Creates the norm, with a weight of ones.</summary>
    /// <exception cref="ArgumentException">The group size does not divide E.</exception>
    public GatedRmsNorm(string path, BambaConfig config, BambaModuleOptions options)
        : base(path, config)
    {
        GroupSize = options.NormGroupSize ?? config.MambaInnerSize;
        if (GroupSize <= 0 || config.MambaInnerSize % GroupSize != 0)
        {
            throw new ArgumentException(
                $"NormGroupSize: expected a divisor of the mixer's width {config.MambaInnerSize}, found {GroupSize}",
                nameof(options)
            );
        }
        Weight = options.NewParameter(config.MambaInnerSize);
        RegisterComponents();
    }

    /// <summary>The gain, [E].</summary>
    [field: ComponentName(Name = "weight")]
    public Parameter Weight { get; }

    /// <summary>What is added to the mean square.</summary>
    public double Epsilon => Config.RmsNormEps;

    /// <summary>Channels of one mean.</summary>
    public int GroupSize { get; }

    /// <summary>Gates and normalises.</summary>
    /// <param name="input">Output of the scan and gate z, both [batch, tokens, E].</param>
    /// <returns>[batch, tokens, E], of the wider type of the scan's output and the weight.</returns>
    public override Tensor forward((Tensor Hidden, Tensor Gate) input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor gated = input.Hidden.Widen() * nn.functional.silu(input.Gate.Widen());
        Tensor groups = gated.unflatten(2, Config.MambaInnerSize / GroupSize, GroupSize);
        Tensor unit = RmsNorm.Normalize(groups, Epsilon).flatten(-2).to_type(input.Hidden.dtype);
        return (Weight * unit).MoveToOuterDisposeScope();
    }
}
