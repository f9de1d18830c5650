using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

public sealed class SoftmaxWeightsTests
{
    [Fact]
    public void Weights_are_exponentials_to_the_last_places()
    {
        var random = new Random(1);
        float[] scores =
        [
            0,
            -708,
            -707.5f,
            -1e-30f,
            .. Enumerable.Range(0, 50_000).Select(i => -random.NextSingle() * (i % 709)),
        ];
        double[] weights = new double[scores.Length];
        new SoftmaxWeights(0, 1).Weigh(scores, weights);
        for (int i = 0; i < scores.Length; i++)
        {
            Assert.Equal(1, weights[i] / Math.Exp(scores[i]), 1e-15);
        }
        Assert.Equal(1, weights[0]);
    }

    [Fact]
    public void A_score_has_one_weight_wherever_it_stands_and_the_sum_is_theirs()
    {
        for (int size = 1; size < 40; size++)
        {
            float[] scores = [.. Enumerable.Repeat(-1.37f, size)];
            double[] weights = new double[size];
            var softmax = new SoftmaxWeights(0.5f, 0.7);
            softmax.Weigh(scores, weights);
            Assert.Single(weights.Distinct());
            Assert.Equal(weights.Sum(), softmax.Sum(scores), 1e-14 * size);
        }
    }

    [Fact]
    public void What_cannot_be_chosen_weighs_nothing()
    {
        float[] scores = [float.NaN, float.NegativeInfinity, -709, 0];
        double[] weights = new double[4];
        new SoftmaxWeights(0, 1).Weigh(scores, weights);
        Assert.Equal([0, 0, 0, 1], weights);
        new SoftmaxWeights(float.PositiveInfinity, 1).Weigh(
            [float.PositiveInfinity, 3, float.NaN, float.MaxValue],
            weights
        );
        Assert.Equal([1, 0, 0, 0], weights);
    }
}
