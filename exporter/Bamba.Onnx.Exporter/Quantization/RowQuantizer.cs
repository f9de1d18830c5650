using System.Numerics.Tensors;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// Quantizes rows of a matrix as ONNX Runtime's <c>MatMulNBits</c> reads them (docs/ContribOperators.md in microsoft/onnxruntime):
/// its B is codes [rows, groups, group size · bits / 8] with the first of two 4-bit codes in the lower half of a byte, its scales
/// are [rows, groups], its zero points [rows, ceil(groups · bits / 8)] if they are codes and [rows, groups] if they are numbers.
/// </summary>
/// <remarks>It has buffers for one group: every thread needs its own.</remarks>
internal sealed class RowQuantizer
{
    private readonly WeightQuantization format;
    private readonly ElementType scaleType;
    private readonly int columns;
    private readonly WeightGroup group;
    private readonly GroupEncoder encoder;
    private readonly NearestGrid nearest;
    private readonly GridSearch? search;
    private readonly HalfQuadraticGrid? halfQuadratic;
    private readonly float[]? channelWeights;

    /// <summary>Makes a quantizer of rows of one length.</summary>
    /// <param name="format">How to quantize.</param>
    /// <param name="scaleType">The type of scales, and of zero points that are numbers: Float32, Float16 or BFloat16.</param>
    /// <param name="columns">Weights of a row.</param>
    /// <param name="channelWeights">
    /// [columns] for <see cref="QuantizationMethod.Activation"/>, how much each input channel's squared error counts, at least 0; null
    /// where all count the same. They weigh the choice and what is returned.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The format or the type is none that there is, or a channel's weight is negative, not finite or not asked for.
    /// </exception>
    public RowQuantizer(WeightQuantization format, ElementType scaleType, int columns, float[]? channelWeights = null)
    {
        ArgumentNullException.ThrowIfNull(format);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        if (format.Bits is not (4 or 8) || format.GroupSize is not (32 or 64 or 128))
        {
            throw new ArgumentException(
                $"expected 4 or 8 bits in groups of 32, 64 or 128, found {format.Bits} in groups of {format.GroupSize}",
                nameof(format)
            );
        }
        this.format = format;
        this.scaleType = scaleType;
        this.columns = columns;
        this.channelWeights = channelWeights;
        RequireChannelWeights();
        Groups = (int)format.GroupsOf(columns);
        group = new WeightGroup(format.GroupSize);
        encoder = new GroupEncoder(format);
        nearest = new NearestGrid(format, scaleType);
        search = format.Method is QuantizationMethod.Search or QuantizationMethod.Activation
            ? new GridSearch(format, scaleType, nearest)
            : null;
        halfQuadratic = format.Method == QuantizationMethod.Hqq ? new HalfQuadraticGrid(nearest) : null;
    }

    /// <summary>Groups of a row; the last may have fewer weights than the others.</summary>
    public int Groups { get; }

    /// <summary>Bytes of a row's codes. A short group is filled up with the code that stands for zero, or the nearest to it.</summary>
    public int CodeBytes => checked(Groups * format.GroupBytes);

    /// <summary>Bytes of a row's scales.</summary>
    public int ScaleBytes => Groups * scaleType.SizeInBytes();

    /// <summary>Bytes of a row's zero points.</summary>
    public int ZeroPointBytes =>
        format.ZeroPoints switch
        {
            ZeroPoints.None => 0,
            ZeroPoints.Integer => (int)format.PackedZeroPointBytesOf(columns),
            _ => ScaleBytes,
        };

    /// <summary>Quantizes a row.</summary>
    /// <param name="row">[columns] a row of the checkpoint's matrix.</param>
    /// <param name="codes">[CodeBytes].</param>
    /// <param name="scales">[groups], in the scales' type, little-endian.</param>
    /// <param name="zeroPoints">[ZeroPointBytes].</param>
    /// <returns>What is lost.</returns>
    /// <exception cref="UnquantizableException">A weight is not finite, or a group's scale is too large for its type.</exception>
    /// <exception cref="ArgumentException">A length is wrong.</exception>
    public QuantizationError Quantize(
        ReadOnlySpan<float> row,
        Span<byte> codes,
        Span<byte> scales,
        Span<byte> zeroPoints
    )
    {
        RequireLengths(row.Length, codes.Length, scales.Length, zeroPoints.Length);
        zeroPoints.Clear();
        QuantizationError total = default;
        for (int i = 0; i < Groups; i++)
        {
            int start = i * format.GroupSize;
            int count = Math.Min(format.GroupSize, columns - start);
            group.Load(
                row.Slice(start, count),
                channelWeights is null ? [] : channelWeights.AsSpan(start, count),
                start
            );
            CodeGrid grid = Encode(start, out double error);
            encoder.Pack(grid.Mirrored, codes.Slice(i * format.GroupBytes, format.GroupBytes));
            WriteGrid(grid, i, scales, zeroPoints);
            total += group.Measure(error);
        }
        return total;
    }

    /// <summary>The values that quantized weights stand for: (q − z) · s in float32, as ONNX Runtime computes them.</summary>
    /// <param name="codes">[CodeBytes].</param>
    /// <param name="scales">[groups], in the scales' type, little-endian.</param>
    /// <param name="zeroPoints">[ZeroPointBytes].</param>
    /// <param name="row">[columns].</param>
    /// <exception cref="ArgumentException">A length is wrong.</exception>
    public void Dequantize(
        ReadOnlySpan<byte> codes,
        ReadOnlySpan<byte> scales,
        ReadOnlySpan<byte> zeroPoints,
        Span<float> row
    )
    {
        RequireLengths(row.Length, codes.Length, scales.Length, zeroPoints.Length);
        for (int i = 0; i < columns; i++)
        {
            int at = i / format.GroupSize;
            row[i] = (Code(codes, i) - ZeroPoint(zeroPoints, at)) * Number(scales, at);
        }
    }

    private CodeGrid Encode(int column, out double error)
    {
        CodeGrid grid = halfQuadratic?.Of(group, column) ?? nearest.Of(group, column);
        error = encoder.Encode(group, grid);
        if (search is null || error == 0)
        {
            return grid;
        }
        CodeGrid found = search.Of(group);
        double errorOfFound = encoder.Encode(group, found);
        if (errorOfFound < error)
        {
            error = errorOfFound;
            return found;
        }
        encoder.Encode(group, grid);
        return grid;
    }

    private void WriteGrid(CodeGrid grid, int index, Span<byte> scales, Span<byte> zeroPoints)
    {
        float scale = (float)(grid.Scale * WeightGroup.PowerOfTwo(group.Exponent));
        int size = scaleType.SizeInBytes();
        ScaleRounding.Write(grid.Mirrored ? -scale : scale, scaleType, scales.Slice(index * size, size));
        switch (format.ZeroPoints)
        {
            case ZeroPoints.Integer:
                int bit = index * format.Bits;
                zeroPoints[bit / 8] |= (byte)((int)grid.Zero << (bit % 8));
                break;
            case ZeroPoints.Float:
                ScaleRounding.Write(grid.Zero, scaleType, zeroPoints.Slice(index * size, size));
                break;
        }
    }

    private float ZeroPoint(ReadOnlySpan<byte> zeroPoints, int index) =>
        format.ZeroPoints switch
        {
            ZeroPoints.None => format.MiddleCode,
            ZeroPoints.Integer => Code(zeroPoints, index),
            _ => Number(zeroPoints, index),
        };

    private int Code(ReadOnlySpan<byte> packed, int index)
    {
        int bit = index * format.Bits;
        return (packed[bit / 8] >> (bit % 8)) & format.LargestCode;
    }

    private float Number(ReadOnlySpan<byte> numbers, int index)
    {
        int size = scaleType.SizeInBytes();
        return ScaleRounding.Read(numbers.Slice(index * size, size), scaleType);
    }

    private void RequireLengths(int row, int codes, int scales, int zeroPoints)
    {
        if ((row, codes, scales, zeroPoints) != (columns, CodeBytes, ScaleBytes, ZeroPointBytes))
        {
            throw new ArgumentException(
                $"expected {columns} weights, {CodeBytes} bytes of codes, {ScaleBytes} of scales and {ZeroPointBytes} of zero points, "
                    + $"found {row}, {codes}, {scales} and {zeroPoints}"
            );
        }
    }

    private void RequireChannelWeights()
    {
        if (channelWeights is null)
        {
            return;
        }
        if (format.Method != QuantizationMethod.Activation)
        {
            throw new ArgumentException($"expected no channel weights for the method {format.Method}");
        }
        if (channelWeights.Length != columns)
        {
            throw new ArgumentException($"expected {columns} channel weights, found {channelWeights.Length}");
        }
        // NaN is the least and the greatest wherever there is one.
        float least = TensorPrimitives.Min(channelWeights);
        if (!(least >= 0) || !float.IsFinite(TensorPrimitives.Max(channelWeights)))
        {
            throw new ArgumentException("expected channel weights that are finite and at least 0");
        }
    }
}
