using System.Collections.Immutable;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>Fills one row of generated values.</summary>
/// <param name="row">Which row: the flat index over all axes but the last.</param>
/// <param name="values">The row, as long as the last axis, to be filled completely.</param>
public delegate void FillRow(long row, Span<float> values);

/// <summary>Where the values of a written tensor come from.</summary>
public abstract record WeightSource
{
    private WeightSource() { }

    /// <summary>
    /// The values of checkpoint tensors in their own order, one tensor after the other: for one, a copy that may have another
    /// shape; for several, their concatenation along the first axis.
    /// </summary>
    public static WeightSource CopyOf(params ImmutableArray<string> tensors) => new Copy(Required(tensors));

    /// <summary>
    /// The transpose of a checkpoint matrix, [rows, columns] to [columns, rows]; of several with as many columns, the
    /// transpose of their concatenation along the rows.
    /// </summary>
    public static WeightSource TransposeOf(params ImmutableArray<string> tensors) => new Transpose(Required(tensors));

    /// <summary>Values that a function makes, row by row, from several threads for different tensors.</summary>
    public static WeightSource GeneratedBy(FillRow fill)
    {
        ArgumentNullException.ThrowIfNull(fill);
        return new Generated(fill);
    }

    /// <summary>The codes of quantized matrices, with whose making scales and zero points are written too.</summary>
    internal static WeightSource QuantizedFrom(QuantizedRows rows) => new Quantized(rows);

    /// <summary>Scales and zero points: whatever writes the codes writes them.</summary>
    internal static WeightSource WithCodes { get; } = new Accompanied();

    private static ImmutableArray<string> Required(ImmutableArray<string> tensors) =>
        tensors.IsDefaultOrEmpty
            ? throw new ArgumentException("expected the names of checkpoint tensors, found none", nameof(tensors))
            : tensors;

    internal sealed record Copy(ImmutableArray<string> Tensors) : WeightSource;

    internal sealed record Transpose(ImmutableArray<string> Tensors) : WeightSource;

    internal sealed record Generated(FillRow Fill) : WeightSource;

    internal sealed record Quantized(QuantizedRows Rows) : WeightSource;

    internal sealed record Accompanied : WeightSource;
}
