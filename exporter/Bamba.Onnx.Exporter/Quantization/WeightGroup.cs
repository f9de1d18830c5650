using System.Globalization;
using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// The weights of a group while its grid is chosen: divided by a power of two so that the greatest magnitude is from 1 to 2,
/// where no square and no reciprocal leaves the range of float32.
/// </summary>
/// <param name="size">Weights of a full group, a multiple of 32.</param>
internal sealed class WeightGroup(int size)
{
    // What is below becomes normal without leaving the normal range, however small.
    private const int LeastExponent = -126;

    private readonly float[] values = new float[size];
    private readonly float[] importance = new float[size];

    // What the importance is divided by, so that its greatest is 1.
    private float importanceUnit;

    /// <summary>[size] the weights, divided; a short group ends in zeros.</summary>
    public ReadOnlySpan<float> Values => values;

    /// <summary>[size] how much each squared error counts; nothing for what a short group ends in.</summary>
    public ReadOnlySpan<float> Importance => importance;

    /// <summary>How many of the weights are the group's own.</summary>
    public int Count { get; private set; }

    /// <summary>The weights are divided by 2 to the power of this.</summary>
    public int Exponent { get; private set; }

    /// <summary>The least of the divided weights.</summary>
    public float Least { get; private set; }

    /// <summary>The greatest of the divided weights.</summary>
    public float Greatest { get; private set; }

    /// <summary>The greatest magnitude of the divided weights.</summary>
    public float Magnitude => Math.Max(Greatest, -Least);

    /// <summary>The sum of the importance.</summary>
    public float TotalImportance { get; private set; }

    /// <summary>Whether all weights are zero.</summary>
    public bool IsZero => Least == 0 && Greatest == 0;

    /// <summary>2 to a power from -1022 to 1023.</summary>
    public static double PowerOfTwo(int exponent) => BitConverter.Int64BitsToDouble((long)(exponent + 1023) << 52);

    /// <summary>Takes the weights of a group.</summary>
    /// <param name="weights">At most [size].</param>
    /// <param name="channelWeights">As many, or none where all errors count the same.</param>
    /// <param name="column">The column of the first weight, for messages.</param>
    /// <exception cref="UnquantizableException">A weight is not finite.</exception>
    public void Load(ReadOnlySpan<float> weights, ReadOnlySpan<float> channelWeights, int column)
    {
        float extreme = MathF.Abs(TensorPrimitives.MaxMagnitude(weights));
        if (!float.IsFinite(extreme))
        {
            throw NotFinite(weights, column);
        }
        Exponent = Math.Max(((int)(BitConverter.SingleToUInt32Bits(extreme) >> 23)) - 127, LeastExponent);
        Count = weights.Length;
        TensorPrimitives.Multiply(weights, (float)PowerOfTwo(-Exponent), values);
        values.AsSpan(Count).Clear();
        Least = TensorPrimitives.Min(values.AsSpan(0, Count));
        Greatest = TensorPrimitives.Max(values.AsSpan(0, Count));
        LoadImportance(channelWeights);
    }

    /// <summary>An error of this group in the units of its weights, next to the weights' own squares.</summary>
    /// <param name="squaredError">The sum of squared errors by importance, of divided weights.</param>
    public QuantizationError Measure(double squaredError)
    {
        double unit = importanceUnit * PowerOfTwo(Exponent) * PowerOfTwo(Exponent);
        return new QuantizationError(squaredError * unit, SumOfSquares() * unit);
    }

    private void LoadImportance(ReadOnlySpan<float> channelWeights)
    {
        importanceUnit = channelWeights.IsEmpty ? 1 : TensorPrimitives.Max(channelWeights);
        if (channelWeights.IsEmpty || importanceUnit == 0)
        {
            // Channels that never carry anything are quantized as if all counted the same.
            importance.AsSpan(0, Count).Fill(1);
        }
        else
        {
            TensorPrimitives.Divide(channelWeights, importanceUnit, importance);
        }
        importance.AsSpan(Count).Clear();
        TotalImportance = TensorPrimitives.Sum(importance);
    }

    private float SumOfSquares()
    {
        Vector256<float> sum = default;
        for (int i = 0; i < values.Length; i += Vector256<float>.Count)
        {
            Vector256<float> value = Vector256.Create(values, i);
            sum += value * value * Vector256.Create(importance, i);
        }
        return Vector256.Sum(sum);
    }

    private static UnquantizableException NotFinite(ReadOnlySpan<float> weights, int column)
    {
        int index = 0;
        while (float.IsFinite(weights[index]))
        {
            index++;
        }
        string found = weights[index].ToString(CultureInfo.InvariantCulture);
        return new UnquantizableException(column + index, $"expected a finite value, found {found}");
    }
}
