using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

public sealed class TokenSamplerTests
{
    private static readonly SamplingOptions Everything = new()
    {
        Temperature = 0.8,
        TopK = 300,
        TopP = 0.97,
        MinP = 0.001,
        TypicalP = 0.95,
        RepetitionPenalty = 1.1,
        FrequencyPenalty = 0.3,
        PresencePenalty = 0.2,
        NoRepeatNgramSize = 3,
        LogitBias = new Dictionary<int, float> { [5] = 2 },
        Seed = 1,
    };

    public static TheoryData<string, SamplingOptions> Modes =>
        new()
        {
            { "greedy", SamplingOptions.Greedy },
            {
                "temperature",
                new SamplingOptions { Temperature = 0.8 }
            },
            {
                "top-k",
                new SamplingOptions { TopK = 50 }
            },
            {
                "top-p",
                new SamplingOptions { TopP = 0.95 }
            },
            {
                "min-p",
                new SamplingOptions { MinP = 0.05 }
            },
            {
                "typical",
                new SamplingOptions { TypicalP = 0.9 }
            },
            {
                "repetition",
                new SamplingOptions { RepetitionPenalty = 1.2 }
            },
            { "n-grams", SamplingOptions.Greedy with { NoRepeatNgramSize = 2 } },
            { "everything", Everything },
        };

    [Theory]
    [MemberData(nameof(Modes))]
    public void A_choice_allocates_nothing(string name, SamplingOptions options)
    {
        float[][] scores = [.. Enumerable.Range(0, 8).Select(seed => Normal(5_000, seed))];
        int[] tokens = [.. Enumerable.Range(0, 500).Select(i => i * i % 97)];
        var sampler = new TokenSampler(options);
        for (int i = 0; i < 16; i++)
        {
            sampler.Sample(scores[i % scores.Length], tokens.AsSpan(0, i), i / 2);
        }
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 400; i++)
        {
            sampler.Sample(scores[i % scores.Length], tokens.AsSpan(0, i), i / 2);
        }
        Assert.True(GC.GetAllocatedBytesForCurrentThread() == before, name);
    }

    [Fact]
    public void Greedy_takes_the_highest_score_and_of_equal_ones_the_lowest_id()
    {
        var sampler = new TokenSampler(SamplingOptions.Greedy);
        Assert.Equal(1, sampler.Sample([1, 3, 2, 3, -1], 0));
        Assert.Equal(2, sampler.Sample([float.NaN, 1, 5, float.NaN], 0));
        Assert.Equal(1, sampler.Sample([float.NegativeInfinity, float.MinValue], 0));
        Assert.Equal(0, sampler.Sample([-0f, 0f], 0));
    }

    [Theory]
    [InlineData(31)]
    [InlineData(4_096)]
    [InlineData(10_007)]
    public void Greedy_finds_the_highest_score_wherever_it_is(int size)
    {
        var sampler = new TokenSampler(SamplingOptions.Greedy);
        float[] scores = new float[size];
        for (int id = 0; id < size; id++)
        {
            Array.Fill(scores, float.NaN, 0, id);
            Array.Fill(scores, -1, id, size - id);
            scores[id] = 2;
            scores[^1] = 2;
            Assert.Equal(id, sampler.Sample(scores, 0));
        }
    }

    [Fact]
    public void Scores_of_which_none_can_be_chosen_are_refused()
    {
        foreach (
            SamplingOptions options in (SamplingOptions[])
                [SamplingOptions.Greedy, new(), Everything with { LogitBias = new Dictionary<int, float>() }]
        )
        {
            var sampler = new TokenSampler(options);
            Assert.Throws<ArgumentException>(() => sampler.Sample([], [], 0));
            Assert.Throws<ArgumentException>(() => sampler.Sample([float.NaN, float.NaN], [], 0));
            Assert.Throws<ArgumentException>(() => sampler.Sample([float.NegativeInfinity, float.NaN], [], 0));
        }
        var banning = new TokenSampler(SamplingOptions.Greedy with { NoRepeatNgramSize = 1 });
        Assert.Equal(1, banning.Sample([5, 1], [0], 1));
        Assert.Throws<ArgumentException>(() => banning.Sample([5, 1], [0, 1], 1));
    }

    [Fact]
    public void A_bias_can_ban_and_force_tokens()
    {
        SamplingOptions Biased(int id, float bias) =>
            new()
            {
                LogitBias = new Dictionary<int, float> { [id] = bias },
                Seed = 1,
            };
        var banned = new TokenSampler(Biased(1, float.NegativeInfinity));
        var forced = new TokenSampler(Biased(0, float.PositiveInfinity));
        for (ulong position = 0; position < 200; position++)
        {
            Assert.NotEqual(1, banned.Sample([1, 5, 1], position));
            Assert.Equal(0, forced.Sample([1, 5, 1], position));
        }
    }

    [Fact]
    public void The_penalties_of_OpenAI_leave_the_prompt_alone_and_the_repetition_penalty_does_not()
    {
        float[] logits = [4, 3.5f];
        int[] tokens = [0, 0, 0];
        var presence = new TokenSampler(SamplingOptions.Greedy with { PresencePenalty = 1 });
        Assert.Equal(0, presence.Sample(logits, tokens, promptLength: 3));
        Assert.Equal(1, presence.Sample(logits, tokens, promptLength: 2));
        var frequency = new TokenSampler(SamplingOptions.Greedy with { FrequencyPenalty = 0.2 });
        Assert.Equal(0, frequency.Sample(logits, tokens, promptLength: 1));
        Assert.Equal(1, frequency.Sample(logits, tokens, promptLength: 0));
        var repetition = new TokenSampler(SamplingOptions.Greedy with { RepetitionPenalty = 1.2 });
        Assert.Equal(1, repetition.Sample(logits, tokens, promptLength: 3));
    }

    [Fact]
    public void Options_that_look_back_need_the_tokens()
    {
        Assert.False(new TokenSampler(new SamplingOptions { TopK = 5, LogitBias = Everything.LogitBias }).NeedsHistory);
        foreach (
            (string option, SamplingOptions options) in (ReadOnlySpan<(string, SamplingOptions)>)
                [
                    ("RepetitionPenalty", new SamplingOptions { RepetitionPenalty = 1.1 }),
                    ("FrequencyPenalty", new SamplingOptions { FrequencyPenalty = 0.1 }),
                    ("PresencePenalty", new SamplingOptions { PresencePenalty = -0.1 }),
                    ("NoRepeatNgramSize", new SamplingOptions { NoRepeatNgramSize = 3 }),
                ]
        )
        {
            var sampler = new TokenSampler(options);
            Assert.True(sampler.NeedsHistory);
            var error = Assert.Throws<InvalidOperationException>(() => sampler.Sample([1, 2], 0));
            Assert.Contains(option, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Arguments_that_do_not_fit_together_are_refused()
    {
        var sampler = new TokenSampler(SamplingOptions.Greedy with { RepetitionPenalty = 1.1 });
        Assert.Throws<ArgumentOutOfRangeException>("promptLength", () => sampler.Sample([1, 2], [0], 2));
        Assert.Throws<ArgumentOutOfRangeException>("promptLength", () => sampler.Sample([1, 2], [0], -1));
        Assert.Contains("found 2", Assert.Throws<ArgumentException>(() => sampler.Sample([1, 2], [0, 2], 0)).Message);
        Assert.Contains("found -1", Assert.Throws<ArgumentException>(() => sampler.Sample([1, 2], [-1], 0)).Message);
        // A refused call leaves no trace.
        Assert.Equal(1, sampler.Sample([2, 2], [0], 1));
        var biased = new TokenSampler(Everything);
        Assert.Contains("found 5", Assert.Throws<ArgumentException>(() => biased.Sample(new float[5], [], 0)).Message);
        Assert.Throws<ArgumentException>(
            "probabilities",
            () => sampler.Distribution(new float[3], [], 0, new double[2])
        );
    }

    private static float[] Normal(int count, int seed)
    {
        var random = new Random(seed);
        return
        [
            .. Enumerable.Range(0, count).Select(_ => (float)Enumerable.Range(0, 12).Sum(_ => random.NextDouble())),
        ];
    }
}
