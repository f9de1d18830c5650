namespace Bamba.Onnx.Tests.Sampling;

/// <summary>Scores of many sizes and shapes, and texts that go with them; the same for the same index.</summary>
internal static class RandomScores
{
    public static float[] Vector(int index)
    {
        var random = new Random(index);
        int size = Size(index, random);
        float spread = (index / 7 % 4) switch
        {
            0 => 0.1f,
            1 => 2,
            2 => 8,
            _ => 300,
        };
        float[] scores = [.. Enumerable.Range(0, size).Select(_ => spread * (float)Normal(random))];
        switch (index % 7)
        {
            case 1: // many equal scores
                Change(scores, score => MathF.Round(score));
                break;
            case 2: // all but equal
                Change(scores, _ => random.Next(2));
                break;
            case 3: // banned and broken ones
                Change(scores, score => random.Next(3) == 0 ? float.NegativeInfinity : score);
                Change(scores, score => random.Next(5) == 0 ? float.NaN : score);
                break;
            case 4: // one far above all
                scores[random.Next(size)] = 50 * spread;
                break;
            case 5: // from one end of float32 to the other
                Change(scores, score => random.Next(4) == 0 ? score * 1e35f : score);
                break;
            case 6 when index % 3 == 0: // certain ones
                Change(scores, score => random.Next(size) < 2 ? float.PositiveInfinity : score);
                break;
            default:
                break;
        }
        return scores;
    }

    /// <summary>A text over the first few tokens, so that they repeat.</summary>
    public static int[] Tokens(int index, int vocabulary)
    {
        var random = new Random(-1 - index);
        int distinct = Math.Min(vocabulary, 1 + random.Next(12));
        return [.. Enumerable.Range(0, random.Next(30)).Select(_ => random.Next(distinct))];
    }

    private static int Size(int index, Random random) =>
        (index % 100) switch
        {
            < 10 => 1 + (index % 2),
            < 80 => 1 + random.Next(40),
            < 99 => 100 + random.Next(150),
            _ => 1000 + random.Next(1500),
        };

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private static void Change(float[] scores, Func<float, float> change)
    {
        for (int i = 0; i < scores.Length; i++)
        {
            scores[i] = change(scores[i]);
        }
    }
}
