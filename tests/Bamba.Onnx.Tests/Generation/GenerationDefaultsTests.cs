using Bamba.Onnx.Contract;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Generation;

public sealed class GenerationDefaultsTests
{
    private static readonly BambaConfig Config = BambaConfig.Load(
        Path.Combine(TestData.TinyShakespeare, "config.json")
    );

    [Fact]
    public void Every_option_is_read()
    {
        GenerationDefaults defaults = Read(
            """
            {
              "do_sample": true, "temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.05, "typical_p": 0.95,
              "repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "eos_token_id": [3, 4], "max_new_tokens": 12
            }
            """
        );
        var expected = new SamplingOptions
        {
            Temperature = 0.7,
            TopK = 40,
            TopP = 0.9,
            MinP = 0.05,
            TypicalP = 0.95,
            RepetitionPenalty = 1.1,
            NoRepeatNgramSize = 3,
        };
        Assert.Equal(expected, defaults.Sampling);
        Assert.Equal([3, 4], defaults.EosTokenIds);
        Assert.Equal(12, defaults.MaxNewTokens);
    }

    [Fact]
    public void Null_and_absent_mean_no_such_step_and_so_does_a_top_k_of_0()
    {
        GenerationDefaults defaults = Read(
            """
            {
              "do_sample": true, "temperature": null, "top_k": 0, "top_p": null, "min_p": null, "typical_p": 1.0,
              "repetition_penalty": null, "no_repeat_ngram_size": 0, "eos_token_id": null, "max_new_tokens": null
            }
            """
        );
        Assert.Equal(new SamplingOptions(), defaults.Sampling);
        Assert.Equal(Config.EosTokenIds, defaults.EosTokenIds);
        Assert.Null(defaults.MaxNewTokens);
    }

    [Theory]
    [InlineData("""{"do_sample": true}""")]
    [InlineData("""{"do_sample": true, "top_k": null}""")]
    public void Sampling_takes_one_of_the_50_likeliest_where_the_file_does_not_say(string json)
    {
        Assert.Equal(new SamplingOptions { TopK = 50 }, Read(json).Sampling);
    }

    [Fact]
    public void Without_do_sample_only_what_holds_for_greedy_choices_is_read()
    {
        Assert.Equal(
            SamplingOptions.Greedy with
            {
                RepetitionPenalty = 1.2,
                NoRepeatNgramSize = 2,
            },
            Read(
                """{"temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.2, "no_repeat_ngram_size": 2}"""
            ).Sampling
        );
        Assert.Equal(SamplingOptions.Greedy, Read("{}").Sampling);
    }

    [Theory]
    [InlineData("""{"do_sample": "yes"}""", "do_sample: expected true or false, found \"yes\"")]
    [InlineData("""{"do_sample": true, "temperature": "hot"}""", "temperature: expected a number, found \"hot\"")]
    [InlineData(
        """{"do_sample": true, "temperature": -1}""",
        "temperature: expected a number that is not negative, found -1"
    )]
    [InlineData("""{"do_sample": true, "top_k": -3}""", "top_k: expected a positive count, found -3")]
    [InlineData("""{"do_sample": true, "top_k": 1.5}""", "top_k: expected an integer, found 1.5")]
    [InlineData("""{"do_sample": true, "top_p": 1.5}""", "top_p: expected a share from above 0 to 1, found 1.5")]
    [InlineData("""{"do_sample": true, "min_p": 2}""", "min_p: expected a share from 0 to 1, found 2")]
    [InlineData("""{"do_sample": true, "typical_p": 0}""", "typical_p: expected a share from above 0 to 1, found 0")]
    [InlineData("""{"repetition_penalty": 0}""", "repetition_penalty: expected a positive number, found 0")]
    [InlineData(
        """{"no_repeat_ngram_size": -1}""",
        "no_repeat_ngram_size: expected a count that is not negative, found -1"
    )]
    [InlineData("""{"max_new_tokens": -1}""", "max_new_tokens: expected a count that is not negative, found -1")]
    [InlineData("""{"max_new_tokens": []}""", "max_new_tokens: expected an integer, found []")]
    [InlineData("""{"eos_token_id": [1, "x"]}""", "eos_token_id: expected an integer, found \"x\"")]
    [InlineData("[]", "expected a JSON object, found Array")]
    public void A_value_that_cannot_be_used_is_refused_by_its_key(string json, string problem)
    {
        var error = Assert.Throws<BambaFormatException>(() => Read(json));
        Assert.Equal($"{error.Path}: {problem}", error.Message);
        Assert.EndsWith("generation_config.json", error.Path, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_no_JSON_is_refused() => Assert.Throws<BambaFormatException>(() => Read("{"));

    [Fact]
    public void Without_a_file_generation_is_greedy_and_ends_as_the_configuration_says()
    {
        using var folder = new TemporaryFolder();
        var defaults = GenerationDefaults.Load(folder.Path, Config);
        Assert.Equal(SamplingOptions.Greedy, defaults.Sampling);
        Assert.Equal(Config.EosTokenIds, defaults.EosTokenIds);
    }

    private static GenerationDefaults Read(string json)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["generation_config.json"], json);
        return GenerationDefaults.Load(folder.Path, Config);
    }
}
