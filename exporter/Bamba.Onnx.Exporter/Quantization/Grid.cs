namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>The values that a group can have: (code − zero) · scale, for codes from 0 to the largest.</summary>
/// <param name="Scale">The distance of neighbours; negative where codes fall as values rise.</param>
/// <param name="Zero">The code that stands for zero, which need not be a whole number.</param>
internal readonly record struct Grid(float Scale, float Zero)
{
    /// <summary>What a value is multiplied by to get to its code; 0 where the grid has one value only.</summary>
    public float Inverse => Scale == 0 ? 0 : 1 / Scale;

    /// <summary>Whether both numbers are.</summary>
    public bool IsFinite => float.IsFinite(Scale) && float.IsFinite(Zero) && float.IsFinite(Inverse);
}
