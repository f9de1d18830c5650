using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Tests.Sampling;

public sealed class SamplingOptionsTests
{
    public static TheoryData<string, Func<SamplingOptions>> Refused =>
        new()
        {
            {
                "Temperature",
                () =>
                    new SamplingOptions { Temperature = -1 }
            },
            {
                "Temperature",
                () =>
                    new SamplingOptions { Temperature = double.NaN }
            },
            {
                "Temperature",
                () =>
                    new SamplingOptions { Temperature = double.PositiveInfinity }
            },
            {
                "TopK",
                () =>
                    new SamplingOptions { TopK = 0 }
            },
            {
                "TopP",
                () =>
                    new SamplingOptions { TopP = 0 }
            },
            {
                "TopP",
                () =>
                    new SamplingOptions { TopP = 1.5 }
            },
            {
                "TopP",
                () =>
                    new SamplingOptions { TopP = double.NaN }
            },
            {
                "MinP",
                () =>
                    new SamplingOptions { MinP = -0.1 }
            },
            {
                "MinP",
                () =>
                    new SamplingOptions { MinP = 1.1 }
            },
            {
                "TypicalP",
                () =>
                    new SamplingOptions { TypicalP = 0 }
            },
            {
                "TypicalP",
                () =>
                    new SamplingOptions { TypicalP = 2 }
            },
            {
                "RepetitionPenalty",
                () =>
                    new SamplingOptions { RepetitionPenalty = 0 }
            },
            {
                "RepetitionPenalty",
                () =>
                    new SamplingOptions { RepetitionPenalty = double.NaN }
            },
            {
                "FrequencyPenalty",
                () =>
                    new SamplingOptions { FrequencyPenalty = double.PositiveInfinity }
            },
            {
                "PresencePenalty",
                () =>
                    new SamplingOptions { PresencePenalty = double.NaN }
            },
            {
                "NoRepeatNgramSize",
                () =>
                    new SamplingOptions { NoRepeatNgramSize = -1 }
            },
            {
                "LogitBias",
                () =>
                    new SamplingOptions { LogitBias = Bias(-1, 1) }
            },
            {
                "LogitBias",
                () =>
                    new SamplingOptions { LogitBias = Bias(1, float.NaN) }
            },
        };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Options_out_of_range_are_refused_by_name(string option, Func<SamplingOptions> create)
    {
        var error = Assert.Throws<ArgumentOutOfRangeException>(option, create);
        Assert.StartsWith("expected ", error.Message, StringComparison.Ordinal);
        Assert.Contains(", found ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Biases_that_are_null_are_refused() =>
        Assert.Throws<ArgumentNullException>("LogitBias", () => new SamplingOptions { LogitBias = null! });

    [Fact]
    public void Options_are_equal_by_what_they_say()
    {
        var one = new SamplingOptions
        {
            TopK = 3,
            LogitBias = new Dictionary<int, float> { [1] = 2, [7] = -1 },
        };
        var same = new SamplingOptions
        {
            TopK = 3,
            LogitBias = new Dictionary<int, float> { [7] = -1, [1] = 2 },
        };
        Assert.Equal(one, same);
        Assert.Equal(one.GetHashCode(), same.GetHashCode());
        Assert.Equal(one, one with { LogitBias = one.LogitBias });
        Assert.NotEqual(one, one with { LogitBias = Bias(1, 2) });
        Assert.NotEqual(
            one,
            one with
            {
                LogitBias = new Dictionary<int, float> { [1] = 2, [7] = -2 },
            }
        );
        Assert.Equal(new SamplingOptions(), new SamplingOptions { LogitBias = new Dictionary<int, float>() });
    }

    [Fact]
    public void Biases_are_copied_and_read_like_a_dictionary()
    {
        var source = new Dictionary<int, float> { [9] = float.NegativeInfinity, [4] = 1.5f };
        var options = new SamplingOptions { LogitBias = source };
        source[4] = 3;
        source.Remove(9);
        Assert.Equal([KeyValuePair.Create(4, 1.5f), KeyValuePair.Create(9, float.NegativeInfinity)], options.LogitBias);
        Assert.Equal(1.5f, options.LogitBias[4]);
        Assert.True(options.LogitBias.ContainsKey(9));
        Assert.False(options.LogitBias.TryGetValue(5, out _));
        Assert.Throws<KeyNotFoundException>(() => options.LogitBias[5]);
    }

    private static Dictionary<int, float> Bias(int id, float bias) => new() { [id] = bias };
}
