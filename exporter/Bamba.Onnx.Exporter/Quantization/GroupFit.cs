namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>Sums over a group of its values v, each term by its importance w.</summary>
/// <param name="Importance">Σ w.</param>
/// <param name="Values">Σ w·v.</param>
/// <param name="Squares">Σ w·v².</param>
internal readonly record struct GroupTotals(float Importance, float Values, float Squares);

/// <summary>Sums over a group of its values v and codes q, these less the middle code; each term by its importance w.</summary>
/// <param name="Codes">Σ w·q.</param>
/// <param name="Squares">Σ w·q².</param>
/// <param name="Products">Σ w·q·v.</param>
internal readonly record struct CodeSums(float Codes, float Squares, float Products);

/// <summary>The grid of least squares for given codes.</summary>
/// <param name="totals">Of the group.</param>
/// <param name="sums">Of its codes.</param>
internal readonly struct GroupFit(GroupTotals totals, CodeSums sums)
{
    /// <summary>Scale and offset from the middle code for which scale · code + offset is nearest.</summary>
    public (float Scale, float Offset) Line()
    {
        float spread = (totals.Importance * sums.Squares) - (sums.Codes * sums.Codes);
        float scale = ((totals.Importance * sums.Products) - (sums.Codes * totals.Values)) / spread;
        return (scale, (totals.Values - (scale * sums.Codes)) / totals.Importance);
    }

    /// <summary>The scale for which scale · (code − shift) is nearest.</summary>
    public float Scale(float shift) => ProductsFrom(shift) / SquaresFrom(shift);

    /// <summary>The squared error of scale · (code − shift).</summary>
    public float SquaredError(float scale, float shift) =>
        (scale * ((scale * SquaresFrom(shift)) - (2 * ProductsFrom(shift)))) + totals.Squares;

    private float ProductsFrom(float shift) => sums.Products - (shift * totals.Values);

    private float SquaresFrom(float shift) =>
        sums.Squares - (2 * shift * sums.Codes) + (shift * shift * totals.Importance);
}
