namespace Bamba.Onnx.Cli.Verification;

/// <summary>Tokens of several rows in a rectangle, with a mask that says which are real.</summary>
/// <param name="Ids">[rows, width].</param>
/// <param name="Real">[rows, width].</param>
internal sealed record PaddedBatch(long[][] Ids, bool[][] Real)
{
    public int Rows => Ids.Length;

    public int Width => Ids[0].Length;

    /// <summary>Rows of one length, without padding.</summary>
    public static PaddedBatch Dense(params long[][] rows) =>
        new(rows, Array.ConvertAll(rows, row => Enumerable.Repeat(true, row.Length).ToArray()));

    /// <summary>Rows with their padding in front.</summary>
    public static PaddedBatch Left(long[][] rows) =>
        Place(rows, rows.Max(row => row.Length), (length, width) => i => i >= width - length);

    /// <summary>Rows with their padding behind.</summary>
    public static PaddedBatch Right(long[][] rows) =>
        Place(rows, rows.Max(row => row.Length), (length, _) => i => i < length);

    /// <summary>Rows with padding scattered over them, in a place of its own in each.</summary>
    public static PaddedBatch Holes(long[][] rows)
    {
        var random = new Random(1);
        return Place(
            rows,
            rows.Max(row => row.Length) + 3,
            (length, width) =>
            {
                int[] places = Enumerable.Range(0, width).ToArray();
                random.Shuffle(places);
                HashSet<int> real = [.. places.Take(length)];
                return real.Contains;
            }
        );
    }

    /// <summary>The real tokens of each row.</summary>
    public long[][] RealTokens() => [.. Ids.Select((row, b) => row.Where((_, i) => Real[b][i]).ToArray())];

    private static PaddedBatch Place(long[][] rows, int width, Func<int, int, Func<int, bool>> isReal)
    {
        var ids = new long[rows.Length][];
        var real = new bool[rows.Length][];
        for (int b = 0; b < rows.Length; b++)
        {
            Func<int, bool> place = isReal(rows[b].Length, width);
            real[b] = [.. Enumerable.Range(0, width).Select(place)];
            int next = 0;
            // A row's own token stands at its padding, so that no special handling of a padding id can hide a leak.
            ids[b] = [.. real[b].Select(token => token ? rows[b][next++] : rows[b].FirstOrDefault())];
        }
        return new PaddedBatch(ids, real);
    }
}
