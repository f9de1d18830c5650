using System.Diagnostics;
using System.Globalization;
using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Benchmarks;

/// <summary>The median time to choose one token, for the vocabularies of the small and of the real model.</summary>
internal static class SamplingTime
{
    private static readonly (string Name, SamplingOptions Options)[] Modes =
    [
        ("greedy", SamplingOptions.Greedy),
        ("temperature 0.8", new SamplingOptions { Temperature = 0.8, Seed = 1 }),
        ("top-k 50", new SamplingOptions { TopK = 50, Seed = 1 }),
        ("top-p 0.95", new SamplingOptions { TopP = 0.95, Seed = 1 }),
        ("min-p 0.05", new SamplingOptions { MinP = 0.05, Seed = 1 }),
        ("typical-p 0.9", new SamplingOptions { TypicalP = 0.9, Seed = 1 }),
        (
            "repetition 1.1, top-k 50",
            new SamplingOptions
            {
                RepetitionPenalty = 1.1,
                TopK = 50,
                Seed = 1,
            }
        ),
    ];

    public static void Measure()
    {
        foreach (int vocabulary in (int[])[2_048, 128_256])
        {
            // Spread 3 is about that of a language model's scores, 0.5 is an almost even choice.
            foreach (float spread in (float[])[3, 0.5f])
            {
                float[] logits = Logits(vocabulary, spread);
                foreach ((string name, SamplingOptions options) in Modes)
                {
                    string time = MedianMicroseconds(logits, options).ToString("F2", CultureInfo.InvariantCulture);
                    Console.WriteLine($"{vocabulary, 7} scores, spread {spread, -3}  {name, -25} {time, 9} µs");
                }
            }
        }
    }

    /// <summary>Normally distributed scores.</summary>
    private static float[] Logits(int count, float spread)
    {
        var random = new Random(1);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ =>
                    spread
                    * (float)(
                        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())
                    )
                ),
        ];
    }

    private static double MedianMicroseconds(float[] logits, SamplingOptions options)
    {
        const int Rounds = 201;
        int callsPerRound = Math.Max(1, 200_000 / logits.Length);
        var sampler = new TokenSampler(options);
        var tokens = Enumerable.Range(0, 512).Select(i => i * 3 % logits.Length).ToArray();
        var times = new List<double>();
        // The first rounds are for the compiler to settle.
        for (int round = -Rounds; round < Rounds; round++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int call = 0; call < callsPerRound; call++)
            {
                sampler.Sample(logits, tokens.AsSpan(0, 256 + (call & 127)), 128);
            }
            if (round >= 0)
            {
                times.Add(Stopwatch.GetElapsedTime(start).TotalMicroseconds / callsPerRound);
            }
        }
        times.Sort();
        return times[times.Count / 2];
    }
}
