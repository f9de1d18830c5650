using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>How modules are made, beyond what a configuration says.</summary>
public sealed record BambaModuleOptions
{
    /// <summary>The element type of parameters. Float64 serves gradient checks: everything is then computed in it.</summary>
    public ScalarType Dtype { get; init; } = ScalarType.Float32;

    /// <summary>Where parameters are made. <see cref="DeviceType.META"/> gives names and shapes without memory.</summary>
    public DeviceType Device { get; init; } = DeviceType.CPU;

    /// <summary>
    /// Channels over which the norm of a Mamba layer takes its mean: a divisor of E, or null for all E, which is what
    /// Hugging Face evaluates. Only mamba_ssm's fused training kernel uses E / G, which differs for G &gt; 1.
    /// </summary>
    public int? NormGroupSize { get; init; }

    internal Linear NewLinear(long inputs, long outputs, bool hasBias) =>
        nn.Linear(inputs, outputs, hasBias, new Device(Device), Dtype);

    internal Parameter NewParameter(params long[] shape) => new(empty(shape, Dtype, new Device(Device)));
}
