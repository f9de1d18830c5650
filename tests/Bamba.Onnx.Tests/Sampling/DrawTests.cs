using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

/// <summary>What is drawn from the distribution that the filters leave.</summary>
public sealed class DrawTests
{
    private static readonly float[] Logits = [1, 3, 2, 3, -1, 2.5f, 0, 1.5f, 2.9f, -3, 0.7f, 2.2f];

    public static TheoryData<string, SamplingOptions> Distributions =>
        new()
        {
            { "plain", new SamplingOptions() },
            {
                "cool",
                new SamplingOptions { Temperature = 0.5 }
            },
            {
                "hot",
                new SamplingOptions { Temperature = 3 }
            },
            {
                "top-k",
                new SamplingOptions { TopK = 5 }
            },
            {
                "top-p",
                new SamplingOptions { TopP = 0.8 }
            },
            {
                "min-p",
                new SamplingOptions { MinP = 0.3 }
            },
            {
                "typical",
                new SamplingOptions { TypicalP = 0.6 }
            },
        };

    [Theory]
    [MemberData(nameof(Distributions))]
    public void Frequencies_follow_the_distribution(string name, SamplingOptions options)
    {
        double[] expected = PlainSampler.Distribution(options, Logits, [], 0)!;
        AssertDrawnFrom(expected, Logits, options with { Seed = 5 }, draws: 30_000, name);
    }

    [Fact]
    public void Frequencies_follow_the_distribution_over_a_large_vocabulary()
    {
        var random = new Random(2);
        float[] logits = [.. Enumerable.Range(0, 1_000).Select(_ => random.NextSingle())];
        double[] expected = PlainSampler.Distribution(new SamplingOptions(), logits, [], 0)!;
        AssertDrawnFrom(expected, logits, new SamplingOptions { Seed = 6 }, draws: 50_000, "large");
    }

    [Fact]
    public void The_choice_inverts_the_cumulative_distribution_in_the_order_of_ids()
    {
        for (int index = 0; index < 3_000; index++)
        {
            float[] logits = RandomScores.Vector(index);
            var options = new SamplingOptions { TopP = 0.9517, Seed = (ulong)index };
            if (PlainSampler.Distribution(options, logits, [], 0) is not { } probabilities)
            {
                continue;
            }
            double point = Philox.Uniform((ulong)index, 17);
            double sum = 0;
            int expected = -1;
            while (sum <= point)
            {
                sum += probabilities[++expected];
            }
            Assert.Equal(expected, new TokenSampler(options).Sample(logits, 17ul));
        }
    }

    [Fact]
    public void The_seed_and_the_position_decide_and_nothing_else()
    {
        float[] flat = new float[1000];
        int[] Draw(ulong seed)
        {
            var sampler = new TokenSampler(new SamplingOptions { Seed = seed });
            return [.. Enumerable.Range(0, 50).Select(position => sampler.Sample(flat, (ulong)position))];
        }
        int[] first = Draw(7);
        Assert.Equal(first, Draw(7));
        Assert.NotEqual(first, Draw(8));
        Assert.True(first.Distinct().Count() > 40);

        // Another sampler, in another order, by the other overload, with another prompt.
        var again = new TokenSampler(new SamplingOptions { Seed = 7 });
        for (int position = first.Length - 1; position >= 0; position--)
        {
            int[] tokens = [.. Enumerable.Range(0, position)];
            Assert.Equal(first[position], again.Sample(flat, tokens, position / 2));
        }
    }

    [Fact]
    public void A_sampler_without_a_seed_draws_one_and_tells_it()
    {
        float[] flat = new float[100_000];
        var first = new TokenSampler(new SamplingOptions());
        var second = new TokenSampler(new SamplingOptions());
        Assert.NotEqual(first.Seed, second.Seed);
        var again = new TokenSampler(new SamplingOptions { Seed = first.Seed });
        Assert.Equal(first.Sample(flat, 3ul), again.Sample(flat, 3ul));
    }

    /// <summary>Pearson's chi-square test at p = 0.001.</summary>
    private static void AssertDrawnFrom(
        double[] expected,
        float[] logits,
        SamplingOptions options,
        int draws,
        string name
    )
    {
        var sampler = new TokenSampler(options);
        int[] counts = new int[logits.Length];
        for (int position = 0; position < draws; position++)
        {
            counts[sampler.Sample(logits, (ulong)position)]++;
        }
        double chiSquare = 0;
        int possible = 0;
        for (int id = 0; id < counts.Length; id++)
        {
            if (expected[id] == 0)
            {
                Assert.Equal(0, counts[id]);
                continue;
            }
            double wanted = expected[id] * draws;
            chiSquare += (counts[id] - wanted) * (counts[id] - wanted) / wanted;
            possible++;
        }
        // The 0.999 quantile after Wilson and Hilferty; 3.0902 is that of the normal distribution.
        double degrees = possible - 1;
        double spread = 2 / (9 * degrees);
        double limit = degrees * Math.Pow(1 - spread + (3.0902 * Math.Sqrt(spread)), 3);
        Assert.True(chiSquare < limit, $"{name}: chi-square {chiSquare}, at most {limit}");
    }
}
