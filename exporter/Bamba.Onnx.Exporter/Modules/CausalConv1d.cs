using Bamba.Onnx.Contract;
using TorchSharp;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// The depthwise causal convolution of a Mamba mixer with its activation (Dao-AILab's <c>causal_conv1d_fn</c>):
/// <c>out[t] = silu(bias + Σ_w weight[w] · in[t − (K − 1) + w])</c> for each channel.
/// </summary>
public sealed class CausalConv1d : BambaModule<(Tensor Window, Tensor? Segments), Tensor>
{
    /// <summary>Creates the convolution.</summary>
    public CausalConv1d(string path, BambaConfig config, BambaModuleOptions options)
        : base(path, config)
    {
        Weight = options.NewParameter(config.MambaConvDim, 1, config.MambaConvKernel);
        Bias = config.MambaConvBias ? options.NewParameter(config.MambaConvDim) : null;
        RegisterComponents();
    }

    /// <summary>The taps, [conv_dim, 1, d_conv]; the last one belongs to the present token.</summary>
    [field: ComponentName(Name = "weight")]
    public Parameter Weight { get; }

    /// <summary>[conv_dim], or null where the configuration has none.</summary>
    [field: ComponentName(Name = "bias")]
    public Parameter? Bias { get; }

    /// <summary>Convolves and activates.</summary>
    /// <param name="input">
    /// The window: d_conv − 1 earlier inputs (zeros before the start) and those of this call,
    /// [batch, d_conv − 1 + tokens, conv_dim]. Segments, [1, tokens], keep taps from reaching into another sequence.
    /// </param>
    /// <returns>[batch, tokens, conv_dim], of the window's type; sums are float32 at least.</returns>
    public override Tensor forward((Tensor Window, Tensor? Segments) input)
    {
        using DisposeScope scope = NewDisposeScope();
        int taps = Config.MambaConvKernel;
        Tensor window = input.Window.Widen();
        Tensor weight = Weight.Widen();
        long tokens = window.shape[1] - (taps - 1);
        Tensor? sum = Bias?.Widen();
        for (int tap = 0; tap < taps; tap++)
        {
            Tensor term = window.narrow(1, tap, tokens) * weight.select(2, tap).squeeze(1);
            if (input.Segments is { } segments)
            {
                term = term * SameSegment(segments, taps - 1 - tap).unsqueeze(-1);
            }
            sum = sum is null ? term : sum.Plus(term);
        }
        return nn.functional.silu(sum!).to_type(input.Window.dtype).MoveToOuterDisposeScope();
    }

    /// <summary>Whether each token and the one <paramref name="distance"/> before it are of one sequence, [1, tokens] bool.</summary>
    private static Tensor SameSegment(Tensor segments, int distance)
    {
        long tokens = segments.shape[1];
        long kept = Math.Max(tokens - distance, 0);
        Tensor outside = full([1, tokens - kept], -1, segments.dtype, segments.device);
        return cat([outside, segments.narrow(1, 0, kept)], 1).eq(segments);
    }
}
