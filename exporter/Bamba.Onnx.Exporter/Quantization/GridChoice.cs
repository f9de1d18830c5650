using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>Chooses the grid of a group, as its scale and zero point can be stored.</summary>
/// <remarks>
/// <para>
/// Nearest: without zero points the value of greatest magnitude gets code 0, so that the code with one more value on its side serves
/// it, as ONNX Runtime's own quantizer and llama.cpp's Q4_0 have it. Integer zero points: the codes span the values and zero. Float
/// zero points: they span the values, as in torchao's <c>get_groupwise_affine_qparams</c> for <c>int4_weight_only</c>, whose zero
/// (a value) is here the code that stands for zero.
/// </para>
/// <para>
/// Search: grids a little finer and coarser than that one are tried, each refitted to the codes that it gives by least squares (the
/// alternation of Lloyd 1982); the one with the least squared error is taken, so that it is never worse than the nearest.
/// </para>
/// </remarks>
internal sealed class GridChoice(WeightQuantization format, ElementType scaleType)
{
    // Grids are tried whose codes span this many more or fewer than there are, in this many steps either way.
    private const int StepsEitherWay = 4;
    private const float CodesAStep = 0.25f;

    // torchao's floor under the spread of a group.
    private const float LeastSpread = 1e-6f;

    /// <summary>The grid for a group.</summary>
    public Grid Of(GroupValues group)
    {
        (float least, float most) = Span(group);
        Grid nearest = Stored(Spanning(least, most, 0));
        if (format.ZeroPoints == ZeroPoints.Float && !nearest.IsFinite)
        {
            // Far from zero for their spread: the zero point is beyond what its type holds.
            (least, most) = WithZero(least, most);
            nearest = Stored(Spanning(least, most, 0));
        }
        return format.Method == QuantizationMethod.Nearest ? nearest : Search(group, nearest, least, most);
    }

    private (float Least, float Most) Span(GroupValues group)
    {
        (float least, float most) = group.Range();
        return format.ZeroPoints == ZeroPoints.Float ? (least, most) : WithZero(least, most);
    }

    private static (float Least, float Most) WithZero(float least, float most) =>
        (Math.Min(least, 0), Math.Max(most, 0));

    private Grid Search(GroupValues group, Grid nearest, float least, float most)
    {
        GroupTotals totals = group.Totals();
        (Grid best, float expected) = (nearest, float.PositiveInfinity);
        for (int step = -StepsEitherWay; step <= StepsEitherWay; step++)
        {
            Grid start = Spanning(least, most, step * CodesAStep);
            var fit = new GroupFit(totals, group.Sums(start, format.LargestCode, format.MiddleCode));
            Grid grid = Refitted(fit);
            float error = fit.SquaredError(grid.Scale, grid.Zero - format.MiddleCode);
            if (grid.IsFinite && error < expected)
            {
                (best, expected) = (grid, error);
            }
        }
        // Its codes change once more with its own grid, for the better, and its numbers with the type that stores them.
        Grid stored = Stored(best);
        return
            stored.IsFinite
            && group.SquaredError(stored, format.LargestCode) < group.SquaredError(nearest, format.LargestCode)
            ? stored
            : nearest;
    }

    /// <summary>A grid whose codes, and some more, span a range.</summary>
    private Grid Spanning(float least, float most, float moreCodes)
    {
        if (format.ZeroPoints == ZeroPoints.None)
        {
            float extreme = -least > most ? least : most;
            return new Grid(extreme / -(format.MiddleCode + moreCodes), format.MiddleCode);
        }
        float spread = format.ZeroPoints == ZeroPoints.Float ? Math.Max(most - least, LeastSpread) : most - least;
        float scale = spread / (format.LargestCode + moreCodes);
        return new Grid(scale, scale == 0 ? 0 : -least / scale);
    }

    /// <summary>The grid of least squares for the codes that another gave; one that is not finite where they do not say.</summary>
    private Grid Refitted(GroupFit fit)
    {
        if (format.ZeroPoints == ZeroPoints.None)
        {
            return new Grid(fit.Scale(0), format.MiddleCode);
        }
        (float scale, float offset) = fit.Line();
        float zero = format.MiddleCode - (offset / scale);
        if (format.ZeroPoints == ZeroPoints.Float)
        {
            return new Grid(scale, zero);
        }
        zero = RoundedZero(zero);
        return new Grid(fit.Scale(zero - format.MiddleCode), zero);
    }

    /// <summary>A grid with the numbers that scale and zero point become when they are stored.</summary>
    private Grid Stored(Grid grid) =>
        new(
            scaleType.Round(grid.Scale),
            format.ZeroPoints switch
            {
                ZeroPoints.Integer => RoundedZero(grid.Zero),
                ZeroPoints.Float => scaleType.Round(grid.Zero),
                _ => grid.Zero,
            }
        );

    private float RoundedZero(float zero) => Math.Clamp(MathF.Round(zero), 0, format.LargestCode);
}
