using Bamba.Onnx.Contract;
using TorchSharp;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>The rotation of each position.</summary>
/// <param name="Cos">Cosines, [batch or 1, 1, tokens, R] float32.</param>
/// <param name="Sin">Sines, of the same shape.</param>
public sealed record RotaryAngles(Tensor Cos, Tensor Sin);

/// <summary>
/// Rotary position embedding of the first R elements of a head (Su et al. 2021; Hugging Face's
/// <c>BambaRotaryEmbedding</c>): elements i and i + R/2 turn by <c>position · theta^(-2i/R)</c>. It has no parameters.
/// </summary>
public sealed class RotaryEmbedding : BambaModule<Tensor, RotaryAngles>
{
    private readonly float[] inverseFrequencies;

    /// <summary>Creates the embedding.</summary>
    public RotaryEmbedding(string path, BambaConfig config)
        : base(path, config)
    {
        inverseFrequencies = config.Rope.InverseFrequencies();
    }

    /// <summary>Computes the rotation of each position.</summary>
    /// <param name="input">Positions, [batch or 1, tokens] int64.</param>
    public override RotaryAngles forward(Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor frequencies = tensor(inverseFrequencies, device: input.device);
        Tensor half = input.to_type(ScalarType.Float32).unsqueeze(1).unsqueeze(-1) * frequencies;
        Tensor angles = cat([half, half], -1);
        return new RotaryAngles(angles.cos().MoveToOuterDisposeScope(), angles.sin().MoveToOuterDisposeScope());
    }

    /// <summary>Rotates queries or keys.</summary>
    /// <param name="heads">[batch, heads, tokens, head_dim].</param>
    /// <param name="angles">The rotation of each token; rounded to the type of the heads, as Hugging Face does.</param>
    /// <returns>[batch, heads, tokens, head_dim]; elements from R on are unchanged.</returns>
    public static Tensor Rotate(Tensor heads, RotaryAngles angles)
    {
        ArgumentNullException.ThrowIfNull(heads);
        ArgumentNullException.ThrowIfNull(angles);
        using DisposeScope scope = NewDisposeScope();
        long rotaryDim = angles.Cos.shape[^1];
        Tensor turned = heads.narrow(-1, 0, rotaryDim);
        Tensor kept = heads.narrow(-1, rotaryDim, heads.shape[^1] - rotaryDim);
        Tensor quarterTurned = cat(
            [-turned.narrow(-1, rotaryDim / 2, rotaryDim / 2), turned.narrow(-1, 0, rotaryDim / 2)],
            -1
        );
        Tensor rotated = (turned * angles.Cos.to_type(heads.dtype)).Plus(
            quarterTurned * angles.Sin.to_type(heads.dtype)
        );
        return cat([rotated, kept], -1).MoveToOuterDisposeScope();
    }
}
