using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

/// <summary>Every step, alone and with others, against <see cref="PlainSampler"/>.</summary>
public sealed class FilterTests
{
    private const int Vectors = 10_000;

    private static readonly Dictionary<string, SamplingOptions> Cases = new()
    {
        ["nothing"] = new SamplingOptions(),
        ["temperature"] = new SamplingOptions { Temperature = 0.37 },
        ["temperature near 0"] = new SamplingOptions { Temperature = 1e-30 },
        ["temperature high"] = new SamplingOptions { Temperature = 50 },
        ["greedy"] = SamplingOptions.Greedy,
        ["top-k 1"] = new SamplingOptions { TopK = 1 },
        ["top-k 50"] = new SamplingOptions { TopK = 50 },
        ["top-p low"] = new SamplingOptions { TopP = 0.2173 },
        ["top-p high"] = new SamplingOptions { TopP = 0.9517 },
        ["min-p low"] = new SamplingOptions { MinP = 0.0531 },
        ["min-p 1"] = new SamplingOptions { MinP = 1 },
        ["typical low"] = new SamplingOptions { TypicalP = 0.2173 },
        ["typical high"] = new SamplingOptions { TypicalP = 0.9517 },
        ["bias"] = new SamplingOptions { LogitBias = new Dictionary<int, float> { [0] = 1.5f } },
        ["ban"] = new SamplingOptions { LogitBias = new Dictionary<int, float> { [0] = float.NegativeInfinity } },
        ["repetition"] = new SamplingOptions { RepetitionPenalty = 1.3 },
        ["repetition rewarded"] = new SamplingOptions { RepetitionPenalty = 0.8 },
        ["frequency"] = new SamplingOptions { FrequencyPenalty = 0.7 },
        ["presence"] = new SamplingOptions { PresencePenalty = -1.2 },
        ["1-grams"] = new SamplingOptions { NoRepeatNgramSize = 1 },
        ["2-grams"] = new SamplingOptions { NoRepeatNgramSize = 2 },
        ["3-grams"] = new SamplingOptions { NoRepeatNgramSize = 3 },
        ["top-k, then top-p"] = new SamplingOptions
        {
            Temperature = 1.7,
            TopK = 20,
            TopP = 0.9017,
        },
        ["top-p, then min-p"] = new SamplingOptions { TopP = 0.8017, MinP = 0.1031 },
        ["top-p, then typical"] = new SamplingOptions { TopP = 0.8017, TypicalP = 0.7031 },
        ["greedy after penalties"] = SamplingOptions.Greedy with
        {
            RepetitionPenalty = 1.2,
            FrequencyPenalty = 0.5,
            NoRepeatNgramSize = 2,
        },
        ["everything"] = new SamplingOptions
        {
            Temperature = 0.8,
            TopK = 40,
            TopP = 0.9317,
            MinP = 0.0131,
            TypicalP = 0.9117,
            RepetitionPenalty = 1.1,
            FrequencyPenalty = 0.3,
            PresencePenalty = 0.2,
            NoRepeatNgramSize = 4,
            LogitBias = new Dictionary<int, float> { [0] = -0.5f },
        },
    };

    public static TheoryData<string> CaseNames => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(CaseNames))]
    public void The_distribution_equals_the_plain_one(string name)
    {
        SamplingOptions options = Cases[name];
        var sampler = new TokenSampler(options);
        int refused = 0;
        for (int index = 0; index < Vectors; index++)
        {
            float[] logits = RandomScores.Vector(index);
            int[] tokens = RandomScores.Tokens(index, logits.Length);
            int promptLength = tokens.Length / 3;
            double[]? expected = PlainSampler.Distribution(options, logits, tokens, promptLength);
            double[] actual = new double[logits.Length];
            if (expected is null)
            {
                refused++;
                Assert.Throws<ArgumentException>(() => sampler.Distribution(logits, tokens, promptLength, actual));
                continue;
            }
            sampler.Distribution(logits, tokens, promptLength, actual);
            for (int id = 0; id < expected.Length; id++)
            {
                bool equal =
                    expected[id] > 0 == actual[id] > 0 && Math.Abs(expected[id] - actual[id]) <= 1e-12 * expected[id];
                if (!equal)
                {
                    Assert.Fail(
                        $"vector {index}, token {id} of {logits.Length}: expected {expected[id]:R}, found {actual[id]:R}"
                    );
                }
            }
        }
        Assert.InRange(refused, 0, Vectors / 5);
    }

    [Fact]
    public void Equal_scores_give_way_by_id()
    {
        float[] logits = [1, 2, 2, 2, 2, 0];
        Assert.Equal([1, 2], Kept(new SamplingOptions { TopK = 2 }, logits));
        Assert.Equal([1, 2, 3], Kept(new SamplingOptions { TopP = 0.6 }, logits));
        Assert.Equal([1], Kept(new SamplingOptions { TopP = 1e-9 }, logits));
        Assert.Equal([1, 2, 3, 4], Kept(new SamplingOptions { MinP = 0.9 }, logits));
    }

    [Fact]
    public void Scores_of_infinity_leave_nothing_to_the_others()
    {
        float[] logits = [float.MaxValue, float.PositiveInfinity, 3, float.PositiveInfinity, float.NaN];
        foreach (
            SamplingOptions options in (SamplingOptions[])
                [
                    new(),
                    new() { TopK = 3, Temperature = 1e300 },
                    new() { TopP = 0.99, Temperature = 1e300 },
                    new() { MinP = 1e-9, Temperature = 1e300 },
                    new() { TypicalP = 0.99 },
                ]
        )
        {
            Assert.Equal([1, 3], Kept(options, logits));
        }
    }

    [Fact]
    public void Half_of_an_even_distribution_is_half_of_the_tokens()
    {
        float[] logits = new float[100_000];
        Assert.Equal(Enumerable.Range(0, 50_000), Kept(new SamplingOptions { TopP = 0.5 }, logits));
        Assert.Equal(Enumerable.Range(0, 777), Kept(new SamplingOptions { TopK = 777 }, logits));
    }

    [Fact]
    public void Orders_of_scores_do_not_matter_to_the_choice_of_the_highest()
    {
        int[] orders = [.. Enumerable.Range(0, 30_000)];
        int[] shuffled = [.. orders];
        new Random(1).Shuffle(shuffled);
        foreach (int[] order in (int[][])[orders, [.. orders.Reverse()], shuffled])
        {
            float[] logits = [.. order.Select(rank => rank * 1e-3f)];
            int[] expected = [.. Enumerable.Range(0, order.Length).Where(id => order[id] >= order.Length - 600)];
            Assert.Equal(expected, Kept(new SamplingOptions { TopK = 600 }, logits));
        }
    }

    private static int[] Kept(SamplingOptions options, float[] logits)
    {
        double[] probabilities = new double[logits.Length];
        new TokenSampler(options).Distribution(logits, [], 0, probabilities);
        return [.. Enumerable.Range(0, logits.Length).Where(id => probabilities[id] > 0)];
    }
}
