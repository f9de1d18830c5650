using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

public sealed class TokenSamplerTests
{
    private static readonly float[] Logits = [1f, 3f, 2f, 3f, -1f];

    [Fact]
    public void Greedy_takes_the_highest_score_and_of_equal_ones_the_lowest_id()
    {
        var sampler = new TokenSampler(SamplingOptions.Greedy);
        Assert.Equal(1, sampler.Sample(Logits, step: 0));
        Assert.Equal(2, sampler.Sample([float.NaN, 1f, 5f], step: 0));
    }

    [Fact]
    public void Scores_that_are_no_numbers_are_refused()
    {
        var sampler = new TokenSampler(SamplingOptions.Greedy);
        Assert.Throws<ArgumentException>(() => sampler.Sample([], 0));
        Assert.Throws<ArgumentException>(() => sampler.Sample([float.NaN], 0));
    }

    [Fact]
    public void The_same_seed_gives_the_same_tokens_and_steps_and_rows_differ()
    {
        float[] flat = new float[1000];
        int[] Draw(ulong seed, int row)
        {
            var sampler = new TokenSampler(new SamplingOptions { Seed = seed });
            return [.. Enumerable.Range(0, 50).Select(step => sampler.Sample(flat, step, row))];
        }
        Assert.Equal(Draw(7, 0), Draw(7, 0));
        Assert.NotEqual(Draw(7, 0), Draw(8, 0));
        Assert.NotEqual(Draw(7, 0), Draw(7, 1));
        Assert.True(Draw(7, 0).Distinct().Count() > 40);
    }

    [Theory]
    [InlineData(1.0, null, 1.0)]
    [InlineData(0.5, null, 1.0)]
    [InlineData(1.0, 2, 1.0)]
    [InlineData(1.0, null, 0.7)]
    [InlineData(2.0, 3, 0.9)]
    public void Frequencies_follow_the_filtered_distribution(double temperature, int? topK, double topP)
    {
        const int Draws = 20_000;
        var options = new SamplingOptions
        {
            Temperature = temperature,
            TopK = topK,
            TopP = topP,
            Seed = 5,
        };
        var sampler = new TokenSampler(options);
        int[] counts = new int[Logits.Length];
        for (int step = 0; step < Draws; step++)
        {
            counts[sampler.Sample(Logits, step)]++;
        }
        double[] expected = Distribution(temperature, topK, topP);
        double chiSquare = 0;
        for (int id = 0; id < counts.Length; id++)
        {
            if (expected[id] == 0)
            {
                Assert.Equal(0, counts[id]);
                continue;
            }
            double wanted = expected[id] * Draws;
            chiSquare += (counts[id] - wanted) * (counts[id] - wanted) / wanted;
        }
        // The 0.999 quantile for four degrees of freedom, more than any of these cases has.
        Assert.True(chiSquare < 18.5, $"chi-square {chiSquare}");
    }

    [Fact]
    public void Options_out_of_range_are_refused_by_name()
    {
        Assert.Throws<ArgumentOutOfRangeException>("Temperature", () => new SamplingOptions { Temperature = -1 });
        Assert.Throws<ArgumentOutOfRangeException>(
            "Temperature",
            () => new SamplingOptions { Temperature = double.NaN }
        );
        Assert.Throws<ArgumentOutOfRangeException>("TopK", () => new SamplingOptions { TopK = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("TopP", () => new SamplingOptions { TopP = 0 });
        Assert.Throws<ArgumentOutOfRangeException>("TopP", () => new SamplingOptions { TopP = 1.5 });
    }

    /// <summary>The distribution by its definition, in the plainest way.</summary>
    private static double[] Distribution(double temperature, int? topK, double topP)
    {
        double[] p = [.. Logits.Select(logit => Math.Exp(logit / temperature))];
        int[] order = [.. Enumerable.Range(0, p.Length).OrderByDescending(id => p[id]).ThenBy(id => id)];
        order = [.. order.Take(topK ?? p.Length)];
        double total = order.Sum(id => p[id]);
        var kept = new List<int>();
        double sum = 0;
        foreach (int id in order)
        {
            kept.Add(id);
            sum += p[id] / total;
            if (topP < 1 && sum >= topP)
            {
                break;
            }
        }
        double keptTotal = kept.Sum(id => p[id]);
        return [.. Enumerable.Range(0, p.Length).Select(id => kept.Contains(id) ? p[id] / keptTotal : 0)];
    }
}
