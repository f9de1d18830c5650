using Bamba.Onnx.Cli.Quality;

namespace Bamba.Onnx.Cli.Tests;

public sealed class PositionComparerTests
{
    // Divergences by hand: a fair coin against one that falls with probability e / (1 + e).
    private static readonly double LogOfOddCoin = Math.Log(1 + Math.E);

    [Fact]
    public void Divergence_is_that_of_the_definition_and_has_a_direction()
    {
        PositionComparison fromFair = Compare([0, 0], [0, 1]);
        Assert.Equal(LogOfOddCoin - Math.Log(2) - 0.5, fromFair.Divergence, 1e-15);
        PositionComparison fromOdd = Compare([0, 1], [0, 0]);
        Assert.Equal((Math.E / (1 + Math.E)) - LogOfOddCoin + Math.Log(2), fromOdd.Divergence, 1e-15);
    }

    [Fact]
    public void Nats_are_those_of_the_token_that_follows()
    {
        PositionComparison first = Compare([0, 0], [0, 1], next: 0);
        Assert.Equal((Math.Log(2), LogOfOddCoin), (first.ReferenceNats, first.Nats));
        Assert.Equal(LogOfOddCoin - 1, Compare([0, 0], [0, 1], next: 1).Nats, 1e-15);
    }

    [Fact]
    public void Equal_scores_have_no_divergence_at_all()
    {
        var random = new Random(1);
        float[] scores = [.. Enumerable.Range(0, 1001).Select(_ => (float)((random.NextDouble() * 80) - 40))];
        PositionComparison found = Compare(scores, [.. scores]);
        Assert.Equal((0, true), (found.Divergence, found.SameTop));
        Assert.Equal(found.ReferenceNats, found.Nats);
    }

    [Fact]
    public void What_all_scores_have_more_of_changes_nothing()
    {
        PositionComparison found = Compare([0, 1, 2], [-64, -63, -62]);
        Assert.InRange(found.Divergence, 0, 1e-15);
        Assert.Equal(found.ReferenceNats, found.Nats, 1e-14);
    }

    [Fact]
    public void Differences_far_below_the_rounding_of_a_float_are_seen()
    {
        // Σ p δ² / 2 - (Σ p δ)² / 2, of a coin whose one side gained δ: δ² / 8.
        float delta = 1e-4f;
        Assert.Equal(delta * (double)delta / 8, Compare([0, 0], [0, delta]).Divergence, 1e-14);
    }

    [Fact]
    public void Scores_far_apart_stay_finite()
    {
        PositionComparison found = Compare([1e4f, -1e4f], [-1e4f, 1e4f]);
        Assert.Equal((2e4, 0, 2e4), (found.Divergence, found.ReferenceNats, found.Nats));
        Assert.False(found.SameTop);
    }

    [Theory]
    [InlineData(new float[] { 1, 3, 2 }, true)]
    [InlineData(new float[] { 3, 3, 3 }, false)]
    [InlineData(new float[] { 1, 2, 3 }, false)]
    public void Of_equal_scores_the_first_counts(float[] model, bool same) =>
        Assert.Equal(same, Compare([1, 3, 3], model).SameTop);

    [Fact]
    public void A_comparer_keeps_nothing_of_the_last_position()
    {
        var comparer = new PositionComparer(2);
        PositionComparison first = comparer.Compare([0, 0], [0, 1], 0);
        comparer.Compare([5, -5], [3, 9], 1);
        Assert.Equal(first, comparer.Compare([0, 0], [0, 1], 0));
    }

    [Fact]
    public void A_sample_has_mean_error_and_quantiles()
    {
        var four = new Sample([4, 1, 3, 2]);
        Assert.Equal((2.5, 4), (four.Mean, four.Max));
        // The variance of 1, 2, 3, 4 is 5 / 3, and a mean of four has a fourth of it.
        Assert.Equal(Math.Sqrt(5.0 / 12), four.StandardError, 1e-15);
        Assert.Equal(0, new Sample([7]).StandardError);
        var many = new Sample(Enumerable.Range(1, 200).Select(i => (double)i).Reverse());
        Assert.Equal((198, 200, 1), (many.Quantile(0.99), many.Quantile(1), many.Quantile(0.005)));
    }

    private static PositionComparison Compare(float[] reference, float[] model, int next = 0) =>
        new PositionComparer(reference.Length).Compare(reference, model, next);
}
