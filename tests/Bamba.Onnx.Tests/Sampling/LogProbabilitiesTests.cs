using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

public sealed class LogProbabilitiesTests
{
    [Fact]
    public void Log_probabilities_equal_a_plain_log_softmax()
    {
        int compared = 0;
        for (int index = 0; index < 3_000; index++)
        {
            float[] logits = RandomScores.Vector(index);
            // Certain tokens have a test of their own: the plain formula has no answer for them.
            if (!logits.Any(float.IsFinite) || logits.Any(float.IsPositiveInfinity))
            {
                continue;
            }
            double[] plain = LogSoftmax(logits);
            int chosen = index % logits.Length;
            var actual = LogProbabilities.Of(logits, chosen, index % 25);
            int[] likeliest =
            [
                .. Enumerable
                    .Range(0, logits.Length)
                    .Where(id => logits[id] > float.NegativeInfinity)
                    .OrderByDescending(id => logits[id])
                    .ThenBy(id => id)
                    .Take(index % 25),
            ];
            Assert.Equal(chosen, actual.Chosen.Id);
            AssertClose(plain[chosen], actual.Chosen.LogProbability);
            Assert.Equal(likeliest, actual.Alternatives.Select(token => token.Id));
            Assert.All(actual.Alternatives, token => AssertClose(plain[token.Id], token.LogProbability));
            compared++;
        }
        Assert.True(compared > 2_000);
    }

    [Fact]
    public void Scores_far_from_zero_keep_their_differences()
    {
        var actual = LogProbabilities.Of([10_000, 10_001, -10_000], 1, 1);
        Assert.Equal(-Math.Log(1 + Math.Exp(-1)), actual.Chosen.LogProbability, 1e-14);
        Assert.Equal(1, actual.Alternatives[0].Id);
    }

    [Fact]
    public void Tokens_of_positive_infinity_share_all_probability()
    {
        float[] logits = [1, float.PositiveInfinity, float.NaN, float.PositiveInfinity];
        var actual = LogProbabilities.Of(logits, 0, 2);
        Assert.Equal(double.NegativeInfinity, actual.Chosen.LogProbability);
        Assert.Equal(
            [new TokenLogProbability(1, -Math.Log(2)), new TokenLogProbability(3, -Math.Log(2))],
            actual.Alternatives
        );
        Assert.Equal(double.NegativeInfinity, LogProbabilities.Of(logits, 2, 0).Chosen.LogProbability);
    }

    [Fact]
    public void Arguments_out_of_range_are_refused_by_name()
    {
        Assert.Throws<ArgumentOutOfRangeException>("chosen", () => LogProbabilities.Of([1, 2], 2, 0));
        Assert.Throws<ArgumentOutOfRangeException>("chosen", () => LogProbabilities.Of([1, 2], -1, 0));
        Assert.Throws<ArgumentOutOfRangeException>("alternatives", () => LogProbabilities.Of([1, 2], 0, -1));
        Assert.Throws<ArgumentException>("logits", () => LogProbabilities.Of([float.NaN], 0, 1));
    }

    private static double[] LogSoftmax(float[] logits)
    {
        double[] scores = [.. logits.Select(logit => float.IsNaN(logit) ? double.NegativeInfinity : logit)];
        double highest = scores.Max();
        double logSum = Math.Log(scores.Sum(score => Math.Exp(score - highest)));
        return [.. scores.Select(score => score - highest - logSum)];
    }

    private static void AssertClose(double expected, double actual) =>
        Assert.True(
            expected == actual || Math.Abs(expected - actual) <= 1e-13 * (1 + Math.Abs(expected)),
            $"expected {expected:R}, found {actual:R}"
        );
}
