namespace Bamba.Onnx.Exporter.Tests.Quantization;

/// <summary>Weights of the kinds that matrices have.</summary>
internal static class RandomWeights
{
    public static float[] Of(string kind, int count, int seed = 1)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                    kind switch
                    {
                        "normal" => 0.02 * Normal(random),
                        "heavy tails" => 0.02 * Normal(random) / Math.Sqrt(0.05 + random.NextDouble()),
                        "one outlier" => i % 128 == 37 ? -0.3 : 0.02 * Normal(random),
                        "positive" => 0.5 + (0.1 * random.NextDouble()),
                        "negative" => -0.02 * Math.Abs(Normal(random)),
                        "sparse" => random.Next(4) == 0 ? Normal(random) : 0,
                        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
                    }
                )
                .Select(value => (float)value),
        ];
    }

    private static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
