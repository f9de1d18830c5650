using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// Quantizes rows of a matrix one by one, into the layout of ONNX Runtime's <c>MatMulNBits</c>: codes of group after group, of two
/// codes in a byte the lower half first; a last group that is short filled up with codes for zero; packed zero points of a row
/// starting on a byte of their own.
/// </summary>
/// <remarks>One thread at a time uses an instance.</remarks>
internal sealed class RowQuantizer
{
    private readonly WeightQuantization format;
    private readonly ElementType scaleType;
    private readonly int columns;
    private readonly float[]? channels;
    private readonly GridChoice choice;
    private readonly float[] values;
    private readonly float[] importance;
    private readonly float[] present;
    private readonly float[] codes;

    /// <param name="format">Bits, groups and zero points.</param>
    /// <param name="scaleType">The element type of scales, and of float zero points.</param>
    /// <param name="columns">Weights of a row.</param>
    /// <param name="channels">[columns], what the squared error of each counts; null where all count the same.</param>
    public RowQuantizer(WeightQuantization format, ElementType scaleType, int columns, float[]? channels = null)
    {
        this.channels = channels;
        this.format = format;
        this.scaleType = scaleType;
        this.columns = columns;
        choice = new GridChoice(format, scaleType);
        values = new float[format.GroupSize];
        importance = new float[format.GroupSize];
        present = new float[format.GroupSize];
        codes = new float[format.GroupSize];
        Groups = (int)format.GroupsOf(columns);
    }

    /// <summary>Groups of a row.</summary>
    public int Groups { get; }

    /// <summary>Bytes of a row's codes.</summary>
    public int CodeBytes => Groups * format.GroupBytes;

    /// <summary>Bytes of a row's scales.</summary>
    public int ScaleBytes => Groups * scaleType.SizeInBytes();

    /// <summary>Bytes of a row's zero points; 0 without.</summary>
    public int ZeroPointBytes =>
        format.ZeroPoints switch
        {
            ZeroPoints.Integer => ((Groups * format.Bits) + 7) / 8,
            ZeroPoints.Float => ScaleBytes,
            _ => 0,
        };

    /// <summary>Quantizes a row.</summary>
    /// <param name="row">[columns], finite and within what <c>scaleType</c> holds.</param>
    /// <param name="rowCodes">[<see cref="CodeBytes"/>].</param>
    /// <param name="scales">[<see cref="ScaleBytes"/>].</param>
    /// <param name="zeroPoints">[<see cref="ZeroPointBytes"/>].</param>
    /// <returns>How far the row's stored values are from it, all counting the same.</returns>
    public QuantizationError Quantize(
        ReadOnlySpan<float> row,
        Span<byte> rowCodes,
        Span<byte> scales,
        Span<byte> zeroPoints
    )
    {
        zeroPoints.Clear();
        var error = new QuantizationError();
        for (int group = 0; group < Groups; group++)
        {
            LoadGroup(row, group);
            Grid grid = choice.Of(new GroupValues(values, importance));
            scaleType.Store(scales, group, grid.Scale);
            StoreZeroPoint(zeroPoints, group, grid.Zero);
            error += Encode(grid);
            Pack(rowCodes.Slice(group * format.GroupBytes, format.GroupBytes));
        }
        return error;
    }

    /// <summary>The values of a quantized row: (code − zero) · scale in float32, as ONNX Runtime's operators have them.</summary>
    public void Dequantize(
        ReadOnlySpan<byte> rowCodes,
        ReadOnlySpan<byte> scales,
        ReadOnlySpan<byte> zeroPoints,
        Span<float> row
    )
    {
        for (int column = 0; column < columns; column++)
        {
            int group = column / format.GroupSize;
            float zero = format.ZeroPoints switch
            {
                ZeroPoints.Integer => Code(zeroPoints, group),
                ZeroPoints.Float => scaleType.Load(zeroPoints, group),
                _ => format.MiddleCode,
            };
            row[column] = (Code(rowCodes, column) - zero) * scaleType.Load(scales, group);
        }
    }

    private void LoadGroup(ReadOnlySpan<float> row, int group)
    {
        int first = group * format.GroupSize;
        int count = Math.Min(format.GroupSize, columns - first);
        row.Slice(first, count).CopyTo(values);
        values.AsSpan(count).Clear();
        present.AsSpan(0, count).Fill(1);
        present.AsSpan(count).Clear();
        (channels is null ? present.AsSpan(0, count) : channels.AsSpan(first, count)).CopyTo(importance);
        importance.AsSpan(count).Clear();
    }

    /// <summary>Takes the group to codes.</summary>
    private QuantizationError Encode(Grid grid)
    {
        var lines = new GridLines(grid, format.LargestCode);
        ReadOnlySpan<Vector512<float>> vectors = MemoryMarshal.Cast<float, Vector512<float>>(values);
        ReadOnlySpan<Vector512<float>> mask = MemoryMarshal.Cast<float, Vector512<float>>(present);
        Span<Vector512<float>> target = MemoryMarshal.Cast<float, Vector512<float>>(codes.AsSpan());
        Vector512<float> errors = Vector512<float>.Zero;
        for (int i = 0; i < vectors.Length; i++)
        {
            target[i] = lines.CodesOf(vectors[i]);
            Vector512<float> error = lines.ValuesOf(target[i]) - vectors[i];
            errors += error * error * mask[i];
        }
        return new QuantizationError(Vector512.Sum(errors), TensorPrimitives.SumOfSquares<float>(values));
    }

    private void Pack(Span<byte> target)
    {
        if (format.Bits == 8)
        {
            for (int i = 0; i < target.Length; i++)
            {
                target[i] = (byte)codes[i];
            }
            return;
        }
        for (int i = 0; i < target.Length; i++)
        {
            target[i] = (byte)((int)codes[2 * i] | ((int)codes[(2 * i) + 1] << 4));
        }
    }

    private void StoreZeroPoint(Span<byte> zeroPoints, int group, float zero)
    {
        switch (format.ZeroPoints)
        {
            case ZeroPoints.Integer when format.Bits == 8:
                zeroPoints[group] = (byte)zero;
                break;
            case ZeroPoints.Integer:
                zeroPoints[group / 2] |= (byte)((int)zero << (group % 2 * 4));
                break;
            case ZeroPoints.Float:
                scaleType.Store(zeroPoints, group, zero);
                break;
        }
    }

    private int Code(ReadOnlySpan<byte> packed, int index) =>
        format.Bits == 8 ? packed[index] : (packed[index / 2] >> (index % 2 * 4)) & 0xF;
}
