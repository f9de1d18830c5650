namespace Bamba.Onnx.Contract;

/// <summary>Rotary position embedding (RoFormer, Su et al. 2021) of the attention layers.</summary>
/// <param name="Theta">The base of the frequencies: <c>theta^(-2i/R)</c> for i in 0 … R/2 − 1.</param>
/// <param name="RotaryDim">R, the leading elements of a head that rotate, in pairs (i, i + R/2). Even; 0 turns rotation off.</param>
/// <param name="ScalingFactor">What positions are divided by: 1 for rope type <c>default</c>, <c>factor</c> for <c>linear</c>.</param>
public sealed record RopeParameters(double Theta, int RotaryDim, double ScalingFactor)
{
    /// <summary>The R/2 inverse frequencies, radians a position, float32 as in Hugging Face's <c>BambaRotaryEmbedding</c>.</summary>
    public float[] InverseFrequencies()
    {
        var frequencies = new float[RotaryDim / 2];
        for (int i = 0; i < frequencies.Length; i++)
        {
            frequencies[i] = (float)(1.0 / (float)Math.Pow(Theta, 2.0 * i / RotaryDim) / ScalingFactor);
        }
        return frequencies;
    }
}
