using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.Graph;
using static Bamba.Onnx.Graph.NodeArgument;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// A matrix stored as codes, scales and perhaps zero points, in the order that ONNX Runtime's <c>MatMulNBits</c> and
/// <c>GatherBlockQuantized</c> both read: row by row, group by group, low nibble first. The two want other axes for the same
/// bytes, so each refers to them by names of its own.
/// </summary>
internal sealed class QuantizedMatrix
{
    private readonly LoweringContext context;
    private readonly WeightQuantization format;
    private readonly (long Rows, long Columns) size;
    private readonly QuantizedEntries entries;

    private QuantizedMatrix(
        LoweringContext context,
        WeightQuantization format,
        (long Rows, long Columns) size,
        QuantizedEntries entries
    )
    {
        this.context = context;
        this.format = format;
        this.size = size;
        this.entries = entries;
    }

    /// <summary>The matrix of checkpoint tensors, one behind another along the rows.</summary>
    public static QuantizedMatrix Of(
        LoweringContext context,
        string name,
        ImmutableArray<string> tensors,
        (long Rows, long Columns) size,
        WeightQuantization format
    ) =>
        new(
            context,
            format,
            size,
            context.Weights.Quantized(name, tensors, size, format, format.Scales ?? context.Dtype)
        );

    /// <summary>Multiplies by the transpose: [..., columns] to [..., rows] of T.</summary>
    public Value Product(string name, Value x) =>
        context.Call(
            MatMulNBitsFunction.Name,
            () => MatMulNBitsFunction.Build(context.ProductCasts),
            [x, .. Operands(name, [size.Rows, format.GroupsOf(size.Columns), format.GroupBytes], flat: true)],
            1,
            Int("K", size.Columns),
            Int("N", size.Rows),
            Int("bits", format.Bits),
            Int("block_size", format.GroupSize)
        )[0];

    /// <summary>Looks rows up: [...] int64 to [..., columns] of T.</summary>
    public Value Rows(string name, Value ids)
    {
        context.Model.Import(LoweringContext.ContribDomain, 1);
        Value[] operands = Operands(name, entries.Codes.Shape.AsSpan(), flat: false);
        Value rows = context.Nodes.Node(
            LoweringContext.ContribDomain,
            "GatherBlockQuantized",
            [operands[0], ids, .. operands.AsSpan(1)],
            1,
            Int("gather_axis", 0),
            Int("quantize_axis", 1),
            Int("bits", format.Bits),
            Int("block_size", format.GroupSize)
        )[0];
        // It gives what scales are.
        return format.Scales is null ? rows : context.Nodes.Cast(rows, context.Dtype);
    }

    /// <summary>Codes in the axes of an operator, scales and zero points with the rows as an axis of their own or not.</summary>
    private Value[] Operands(string name, ReadOnlySpan<long> codes, bool flat)
    {
        Value[] operands =
        [
            context.Reference($"{name}.codes", entries.Codes, codes),
            context.Reference($"{name}.scales", entries.Scales, Axes(entries.Scales)),
        ];
        return entries.ZeroPoints is { } zeroPoints
            ? [.. operands, context.Reference($"{name}.zero_points", zeroPoints, Axes(zeroPoints))]
            : operands;

        ReadOnlySpan<long> Axes(WeightEntry entry) =>
            flat ? new[] { entry.Shape[0] * entry.Shape[1] } : entry.Shape.AsSpan();
    }
}
