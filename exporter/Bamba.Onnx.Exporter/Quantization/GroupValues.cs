using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>The weights of a group and how much the error of each counts.</summary>
/// <param name="values">The weights, as many as a group has; those behind a short last group are 0.</param>
/// <param name="importance">What the squared error of each is multiplied by: 0 behind a short last group.</param>
internal readonly ref struct GroupValues(ReadOnlySpan<float> values, ReadOnlySpan<float> importance)
{
    private readonly ReadOnlySpan<Vector512<float>> values = MemoryMarshal.Cast<float, Vector512<float>>(values);
    private readonly ReadOnlySpan<Vector512<float>> importance = MemoryMarshal.Cast<float, Vector512<float>>(
        importance
    );

    /// <summary>The smallest and the largest.</summary>
    public (float Least, float Most) Range()
    {
        Vector512<float> least = values[0];
        Vector512<float> most = least;
        foreach (Vector512<float> value in values)
        {
            least = Vector512.MinNative(least, value);
            most = Vector512.MaxNative(most, value);
        }
        (float first, float last) = (least[0], most[0]);
        for (int lane = 1; lane < Vector512<float>.Count; lane++)
        {
            first = Math.Min(first, least[lane]);
            last = Math.Max(last, most[lane]);
        }
        return (first, last);
    }

    /// <summary>The squared error of the values on a grid, each by its importance.</summary>
    public float SquaredError(Grid grid, int largestCode)
    {
        var lines = new GridLines(grid, largestCode);
        Vector512<float> sum = Vector512<float>.Zero;
        for (int i = 0; i < values.Length; i++)
        {
            Vector512<float> error = lines.ValuesOf(lines.CodesOf(values[i])) - values[i];
            sum = Vector512.MultiplyAddEstimate(error * error, importance[i], sum);
        }
        return Vector512.Sum(sum);
    }

    /// <summary>What every fit of the group needs, whatever the codes.</summary>
    public GroupTotals Totals()
    {
        Vector512<float> weights = Vector512<float>.Zero;
        Vector512<float> weighted = Vector512<float>.Zero;
        Vector512<float> squares = Vector512<float>.Zero;
        for (int i = 0; i < values.Length; i++)
        {
            Vector512<float> term = values[i] * importance[i];
            weights += importance[i];
            weighted += term;
            squares = Vector512.MultiplyAddEstimate(term, values[i], squares);
        }
        return new GroupTotals(Vector512.Sum(weights), Vector512.Sum(weighted), Vector512.Sum(squares));
    }

    /// <summary>What a least-squares fit of the values to codes needs beside the totals.</summary>
    /// <param name="grid">Decides the codes.</param>
    /// <param name="largestCode">The largest code.</param>
    /// <param name="origin">What is taken off every code first: near the middle, so that sums stay exact.</param>
    public CodeSums Sums(Grid grid, int largestCode, float origin)
    {
        var lines = new GridLines(grid, largestCode);
        Vector512<float> start = Vector512.Create(origin);
        Vector512<float> codes = Vector512<float>.Zero;
        Vector512<float> squares = Vector512<float>.Zero;
        Vector512<float> products = Vector512<float>.Zero;
        for (int i = 0; i < values.Length; i++)
        {
            Vector512<float> code = lines.CodesOf(values[i]) - start;
            Vector512<float> weighted = code * importance[i];
            codes += weighted;
            squares = Vector512.MultiplyAddEstimate(weighted, code, squares);
            products = Vector512.MultiplyAddEstimate(weighted, values[i], products);
        }
        return new CodeSums(Vector512.Sum(codes), Vector512.Sum(squares), Vector512.Sum(products));
    }
}

/// <summary>A grid as vectors take it.</summary>
internal readonly struct GridLines(Grid grid, int largestCode)
{
    private readonly Vector512<float> inverse = Vector512.Create(grid.Inverse);
    private readonly Vector512<float> scale = Vector512.Create(grid.Scale);
    private readonly Vector512<float> zero = Vector512.Create(grid.Zero);
    private readonly Vector512<float> largest = Vector512.Create((float)largestCode);

    /// <summary>The codes nearest to values, as floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> CodesOf(Vector512<float> values)
    {
        Vector512<float> exact = Vector512.Round((values * inverse) + zero);
        return Vector512.MinNative(Vector512.MaxNative(exact, Vector512<float>.Zero), largest);
    }

    /// <summary>What codes stand for.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector512<float> ValuesOf(Vector512<float> codes) => (codes - zero) * scale;
}
