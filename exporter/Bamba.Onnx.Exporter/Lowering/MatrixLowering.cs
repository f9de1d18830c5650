using System.Collections.Immutable;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// Lowers products with matrices of the checkpoint, and the looking up of rows in them, by the form in which the export stores
/// each: its element type, or groups of few bits.
/// </summary>
internal static class MatrixLowering
{
    /// <summary>Multiplies by the transpose of matrices, [outputs, inputs] all together.</summary>
    /// <param name="context">Where nodes and weights go.</param>
    /// <param name="name">What the matrices are called together.</param>
    /// <param name="tensors">The matrices, one behind another along the outputs.</param>
    /// <param name="size">Rows and columns of all of them together.</param>
    /// <param name="x">[…, inputs] of T.</param>
    /// <returns>[…, outputs] of T.</returns>
    public static Value Product(
        LoweringContext context,
        string name,
        ImmutableArray<string> tensors,
        (long Outputs, long Inputs) size,
        Value x
    ) =>
        context.FormatOf(tensors) is { } format
            ? QuantizedMatrix.Of(context, name, tensors, size, format).Product(name, x)
            : context.Nodes.MatMul(x, context.Matrix(name, tensors, size.Outputs, size.Inputs));

    /// <summary>Looks rows up.</summary>
    /// <param name="context">Where nodes and weights go.</param>
    /// <param name="name">The matrix.</param>
    /// <param name="size">Its rows and columns.</param>
    /// <param name="ids">[…] int64.</param>
    /// <returns>[…, columns] of T.</returns>
    public static Value Rows(LoweringContext context, string name, (long Rows, long Columns) size, Value ids) =>
        context.FormatOf([name]) is { } format
            ? QuantizedMatrix.Of(context, name, [name], size, format).Rows(name, ids)
            : context.Nodes.Gather(context.Parameter(name, size.Rows, size.Columns), ids);

    /// <summary>Multiplies by the transpose of a matrix whose rows are looked up too: stored once, as those need it.</summary>
    /// <param name="context">Where nodes and weights go.</param>
    /// <param name="name">What the product's matrix is called.</param>
    /// <param name="table">The matrix that is looked up.</param>
    /// <param name="size">Its rows and columns.</param>
    /// <param name="x">[…, columns] of T.</param>
    /// <returns>[…, rows] of T.</returns>
    public static Value TiedProduct(
        LoweringContext context,
        string name,
        string table,
        (long Rows, long Columns) size,
        Value x
    )
    {
        if (context.FormatOf([table]) is { } format)
        {
            return QuantizedMatrix.Of(context, table, [table], size, format).Product(name, x);
        }
        NodeBuilder g = context.Nodes;
        Value rows = g.Reshape(x, -1, size.Columns);
        Value matrix = context.Parameter(table, size.Rows, size.Columns);
        Value product = g.Node("Gemm", [rows, matrix], NodeArgument.Int("transB", 1));
        return g.Reshape(product, g.Concat(0, g.Shape(x, 0, 2), g.Ints(size.Rows)));
    }
}
