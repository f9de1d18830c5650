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
        var rounding = new ScaleRounding(scaleType, group.Exponent);
        return format.ZeroPoints switch
        {
            ZeroPoints.None => AroundZero(),
            ZeroPoints.Integer => WithCodeForZero(),
            _ => WithFloatZero(),
        };

        // The weight of greatest magnitude takes the code 0, which is further from the middle than the largest code:
        // range2scale in ONNX Runtime's q4_dq.cpp, and llama.cpp's Q4_0.
        CodeGrid AroundZero()
        {
            bool mirrored = group.Greatest > -group.Least;
            float scale = Rounded(Math.Max(group.Greatest, -group.Least) / format.MiddleCode);
            return new CodeGrid(scale, mirrored ? format.MiddleCode - 1 : format.MiddleCode, mirrored);
        }

        // From the least to the greatest weight, zero among them: range2scalezp in ONNX Runtime's q4_dq.cpp.
        CodeGrid WithCodeForZero()
        {
            float least = Math.Min(group.Least, 0);
            float scale = Rounded((Math.Max(group.Greatest, 0) - least) / format.LargestCode);
            return new CodeGrid(scale, ToCodes(Vector256.Create(-least / scale))[0]);
        }

        // choose_qparams_affine_tinygemm in torchao's quant_primitives.py, which is what its int4 weight-only configuration
        // takes: the range is not stretched to zero, and zero = least + scale · middle is the value of the middle code. Its
        // dequantization (q − middle) · scale + zero is (q − z) · scale with z = middle − zero / scale. Its bound of 1e-6 below
        // scales would swallow small weights; here a scale is kept from being so small that z gets too large for its type.
        CodeGrid WithFloatZero()
        {
            float range = group.Greatest - group.Least;
            if (range == 0)
            {
                return OneValue();
            }
            float magnitude = Math.Max(group.Greatest, -group.Least);
            float unrounded = Math.Max(range / format.LargestCode, magnitude * ulpOfOne / 2);
            float scale = Rounded(unrounded);
            float zero = group.Least + (unrounded * format.MiddleCode);
            return new CodeGrid(scale, RoundZero(format.MiddleCode - (zero / scale)));
        }

        // Code and zero point differ by one, so that the scale is the value.
        CodeGrid OneValue() => new(Rounded(Math.Abs(group.Least)), group.Least > 0 ? 0 : 1);

        float Rounded(float scale)
        {
            float rounded = rounding.Round(scale);
            // Half a step beyond the largest is where rounding would give infinity.
            return scale < rounding.Largest * (1 + (ulpOfOne / 4)) ? rounded : throw TooLarge(scale, group, column);
        }
    }

    /// <summary>The codes nearest to numbers, ties to even.</summary>
    public Vector256<float> ToCodes(Vector256<float> numbers) =>
        Vector256.Clamp(Vector256.Round(numbers), Vector256<float>.Zero, Vector256.Create((float)format.LargestCode));

    /// <summary>A zero point of the scales' type.</summary>
    public float RoundZero(float zero) => zero == 0 ? 0 : MathF.CopySign(zeroRounding.Round(MathF.Abs(zero)), zero);

    private UnquantizableException TooLarge(float scale, WeightGroup group, int column)
    {
        int index = 0;
        while (Math.Abs(group.Values[index]) < Math.Max(group.Greatest, -group.Least))
        {
            index++;
        }
        double unit = WeightGroup.PowerOfTwo(group.Exponent);
        return new UnquantizableException(
            column + index,
            string.Create(
                CultureInfo.InvariantCulture,
                $"{(float)(group.Values[index] * unit)} needs a scale of {(float)(scale * unit)}, which does not fit {scaleType.ShortName()}; "
                    + $"choose {(scaleType == ElementType.Float16 ? "bf16 or f32" : "f32")}"
            )
        );
    }
}
