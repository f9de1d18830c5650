using System.Globalization;
using System.Runtime.Intrinsics;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// The grid of <see cref="QuantizationMethod.Nearest"/>: from the extremes of a group alone. Scale and zero point are rounded
/// to what is stored; the zero point follows from the rounded scale.
/// </summary>
internal sealed class NearestGrid(WeightQuantization format, ElementType scaleType)
{
    // In steps of a float zero point's rounding, how wide the range of a group is taken at least.
    private const int LeastRangeSteps = 15;

    // Looked-up rows come out as scales are, so that where activations are not, codes times a scale must fit too.
    private readonly int multiples = format.Scales is null ? 1 : format.LargestCode;
    private readonly float ulpOfOne = ScaleRounding.UlpOfOne(scaleType);
    private readonly ScaleRounding zeroRounding = new(scaleType, 0);

    /// <summary>The grid of a group.</summary>
    /// <exception cref="UnquantizableException">The scale is too large for its type.</exception>
    public CodeGrid Of(WeightGroup group, int column)
    {
        if (group.IsZero)
        {
            return new CodeGrid(0, format.MiddleCode);
        }
        return format.ZeroPoints switch
        {
            ZeroPoints.None => AroundZero(group, column),
            ZeroPoints.Integer => WithCodeForZero(group, column),
            _ when group.Least == group.Greatest => OfOneValue(group, column),
            _ => WithFloatZero(group, column),
        };
    }

    /// <summary>The codes nearest to numbers, ties to even.</summary>
    public Vector256<float> ToCodes(Vector256<float> numbers) =>
        Vector256.Clamp(Vector256.Round(numbers), Vector256<float>.Zero, Vector256.Create((float)format.LargestCode));

    /// <summary>A zero point as it is stored: a code, or a number of the scales' type.</summary>
    public float StoredZero(float zero) =>
        format.ZeroPoints == ZeroPoints.Float ? RoundZero(zero) : ToCodes(Vector256.Create(zero))[0];

    /// <summary>A zero point of the scales' type.</summary>
    public float RoundZero(float zero) => zero == 0 ? 0 : MathF.CopySign(zeroRounding.Round(MathF.Abs(zero)), zero);

    // The weight of greatest magnitude takes the code 0, which is further from the middle than the largest code: range2scale in
    // ONNX Runtime's q4_dq.cpp, and llama.cpp's Q4_0.
    private CodeGrid AroundZero(WeightGroup group, int column)
    {
        bool mirrored = group.Greatest > -group.Least;
        float scale = StoredScale(group.Magnitude / format.MiddleCode, group, column);
        return new CodeGrid(scale, mirrored ? format.MiddleCode - 1 : format.MiddleCode, mirrored);
    }

    // From the least to the greatest weight, zero among them: range2scalezp in ONNX Runtime's q4_dq.cpp.
    private CodeGrid WithCodeForZero(WeightGroup group, int column)
    {
        float least = Math.Min(group.Least, 0);
        float scale = StoredScale((Math.Max(group.Greatest, 0) - least) / format.LargestCode, group, column);
        return new CodeGrid(scale, ToCodes(Vector256.Create(-least / scale))[0]);
    }

    // choose_qparams_affine_tinygemm in torchao's quant_primitives.py (choose_qparams_affine with ZeroPointDomain.FLOAT and
    // without preserve_zero before), which its int4 weight-only configuration takes: the range is not stretched to zero, and
    // zero = least + scale · middle is the value of the middle code. Its dequantization (q − middle) · scale + zero is
    // (q − z) · scale with z = middle − zero / scale. Its bound of 1e-6 under scales would swallow small weights; here the bound is
    // where z, which grows as the range gets narrow, would be rounded by as much as a fifteenth of the range.
    private CodeGrid WithFloatZero(WeightGroup group, int column)
    {
        float range = group.Greatest - group.Least;
        float narrowest = group.Magnitude * ulpOfOne / 2 * LeastRangeSteps;
        float exact = Math.Max(range, narrowest) / format.LargestCode;
        float scale = StoredScale(exact, group, column);
        float zero = group.Least + (exact * format.MiddleCode);
        return new CodeGrid(scale, RoundZero(format.MiddleCode - (zero / scale)));
    }

    // Code and zero point differ by one, so that the scale is the value.
    private CodeGrid OfOneValue(WeightGroup group, int column) =>
        new(StoredScale(group.Magnitude, group, column), group.Least > 0 ? 0 : 1);

    private float StoredScale(float scale, WeightGroup group, int column)
    {
        var rounding = new ScaleRounding(scaleType, group.Exponent);
        // Half a step beyond the largest is where rounding would give infinity.
        return scale * multiples < rounding.Largest * (1 + (ulpOfOne / 4))
            ? rounding.Round(scale)
            : throw TooLarge(scale, group, column);
    }

    private UnquantizableException TooLarge(float scale, WeightGroup group, int column)
    {
        int index = 0;
        while (Math.Abs(group.Values[index]) < group.Magnitude)
        {
            index++;
        }
        double unit = WeightGroup.PowerOfTwo(group.Exponent);
        string remedy =
            format.Scales is not null ? "scales of f32"
            : scaleType == ElementType.Float16 ? "bf16 or f32"
            : "f32";
        return new UnquantizableException(
            column + index,
            string.Create(
                CultureInfo.InvariantCulture,
                $"{(float)(group.Values[index] * unit)} needs a scale of {(float)(scale * unit)}, which does not fit {scaleType.ShortName()}{(multiples > 1 ? $" {multiples} times" : "")}; choose {remedy}"
            )
        );
    }
}
