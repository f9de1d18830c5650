using System.Text;
using System.Text.Json.Nodes;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Contract.Tests;

public sealed class BambaConfigTests
{
    private const string Nine = "models/bamba-9b-v2";

    /// <summary>The public 9B model as transformers 4 spells it.</summary>
    private static JsonObject Old() => JsonNode.Parse(File.ReadAllBytes(TestData.Bamba9BConfig))!.AsObject();

    /// <summary>The same model as transformers 5 spells it.</summary>
    private static JsonObject New()
    {
        JsonObject json = Old();
        json.Remove("attn_rotary_emb");
        json.Remove("torch_dtype");
        json["dtype"] = "bfloat16";
        json["partial_rotary_factor"] = 0.5;
        json["rope_parameters"] = new JsonObject
        {
            ["partial_rotary_factor"] = 0.5,
            ["rope_theta"] = 10000.0,
            ["rope_type"] = "default",
        };
        json["time_step_limit"] = new JsonArray(0.0, new JsonObject { ["__float__"] = "Infinity" });
        json["attention_bias"] = false;
        json["mlp_bias"] = false;
        json["z_loss_coefficient"] = 0.0;
        return json;
    }

    private static BambaConfig Parse(JsonObject json) =>
        BambaConfig.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "config.json");

    private static string Refusal(JsonObject json)
    {
        BambaFormatException error = Assert.Throws<BambaFormatException>(() => Parse(json));
        Assert.Equal("config.json", error.Path);
        return error.Message;
    }

    [Fact]
    public void The_public_model_has_its_published_shape()
    {
        BambaConfig config = BambaConfig.Load(TestData.Bamba9BConfig);
        Assert.Equal(32, config.Layers.Length);
        Assert.Equal([9, 18, 27], Enumerable.Range(0, 32).Where(i => config.Layers[i] == LayerKind.Attention));
        Assert.Equal(128, config.HeadDim);
        Assert.Equal(64, config.Rope.RotaryDim);
        Assert.Equal(8448, config.MambaConvDim);
        Assert.Equal(16768, config.MambaProjectionSize);
        Assert.Equal(float.PositiveInfinity, config.TimeStepMax);
        Assert.Equal(ElementType.BFloat16, config.Dtype);
    }

    [Fact]
    public void Both_spellings_of_a_model_are_one_configuration()
    {
        Assert.Equal(Parse(Old()), Parse(New()));
        Assert.Equal(Parse(Old()).GetHashCode(), Parse(New()).GetHashCode());
    }

    [Theory]
    [InlineData("layers_block_type", "mamba", "attention")]
    [InlineData("layer_types", "mamba", "attention")]
    [InlineData("layer_types", "linear_attention", "full_attention")]
    public void Layers_may_be_listed_by_name(string key, string mamba, string attention)
    {
        JsonObject json = Old();
        json.Remove("attn_layer_indices");
        json[key] = new JsonArray([
            .. Enumerable.Range(0, 32).Select(i => (JsonNode)(i is 9 or 18 or 27 ? attention : mamba)),
        ]);
        Assert.Equal(Parse(Old()), Parse(json));
    }

    [Fact]
    public void Auto_head_size_and_a_missing_one_are_derived()
    {
        JsonObject auto = Old();
        auto["mamba_d_head"] = "auto";
        JsonObject missing = Old();
        missing.Remove("mamba_d_head");
        Assert.Equal(Parse(Old()), Parse(auto));
        Assert.Equal(Parse(Old()), Parse(missing));
    }

    [Fact]
    public void Half_the_head_rotates_where_nothing_says_so()
    {
        JsonObject json = Old();
        json.Remove("attn_rotary_emb");
        Assert.Equal(64, Parse(json).Rope.RotaryDim);
    }

    [Fact]
    public void Python_infinity_reads_as_infinity_and_text_that_looks_like_it_stays()
    {
        string text = Old()
            .ToJsonString()
            .Replace(
                "{\"arch",
                "{\"note\":\"a \\\" Infinity\",\"time_step_limit\":[0.0,Infinity],\"arch",
                StringComparison.Ordinal
            );
        Assert.Contains("Infinity]", text);
        Assert.Equal(Parse(Old()), BambaConfig.Parse(Encoding.UTF8.GetBytes(text), "config.json"));
    }

    [Fact]
    public void Finite_time_step_limits_are_kept()
    {
        JsonObject json = Old();
        json["time_step_limit"] = new JsonArray(0.02, 0.9);
        Assert.Equal((0.02f, 0.9f), (Parse(json).TimeStepMin, Parse(json).TimeStepMax));
    }

    [Theory]
    [InlineData("10", new[] { 10 })]
    [InlineData("[10, 11]", new[] { 10, 11 })]
    [InlineData("null", new int[0])]
    public void End_tokens_are_one_several_or_none(string value, int[] expected)
    {
        JsonObject json = Old();
        json["eos_token_id"] = JsonNode.Parse(value);
        Assert.Equal(expected, Parse(json).EosTokenIds);
    }

    [Fact]
    public void Null_key_value_heads_are_as_many_as_query_heads()
    {
        JsonObject json = Old();
        json["num_key_value_heads"] = null;
        Assert.Equal(32, Parse(json).NumKeyValueHeads);
    }

    [Theory]
    [InlineData("model_type", "\"llama\"", "model_type: expected \"bamba\", found \"llama\"")]
    [InlineData("hidden_act", "\"gelu\"", "hidden_act: expected \"silu\"")]
    [InlineData("hidden_size", "-1", "hidden_size: expected a positive integer, found -1")]
    [InlineData("hidden_size", "\"big\"", "hidden_size: expected an integer, found \"big\"")]
    [InlineData(
        "num_attention_heads",
        "30",
        "hidden_size: expected a multiple of num_attention_heads = 30, found 4096"
    )]
    [InlineData(
        "num_key_value_heads",
        "7",
        "num_attention_heads: expected a multiple of num_key_value_heads = 7, found 32"
    )]
    [InlineData(
        "mamba_n_heads",
        "100",
        "mamba_n_heads: expected a divisor of mamba_expand * hidden_size = 8192, found 100"
    )]
    [InlineData("mamba_d_head", "32", "mamba_d_head: expected mamba_expand * hidden_size / mamba_n_heads = 64")]
    [InlineData(
        "mamba_expand",
        "2000000000",
        "mamba_expand: expected at most 524287 with hidden_size = 4096, found 2000000000"
    )]
    [InlineData("mamba_n_groups", "3", "mamba_n_heads: expected a multiple of mamba_n_groups = 3, found 128")]
    [InlineData("mamba_d_conv", "1", "mamba_d_conv: expected at least 2 taps, found 1")]
    [InlineData(
        "attn_layer_indices",
        "[9, 32]",
        "attn_layer_indices: expected indices below num_hidden_layers = 32, found 32"
    )]
    [InlineData(
        "attn_layer_indices",
        "[-1]",
        "attn_layer_indices: expected indices below num_hidden_layers = 32, found -1"
    )]
    [InlineData("layer_types", "[\"mamba\"]", "layer_types: expected num_hidden_layers = 32 entries, found 1")]
    [InlineData("time_step_limit", "[0.9, 0.1]", "time_step_limit: expected 0 <= lower <= upper, found 0.9 and 0.1")]
    [InlineData("time_step_limit", "[1]", "time_step_limit: expected two numbers, found 1")]
    [InlineData(
        "partial_rotary_factor",
        "0.25",
        "attn_rotary_emb: expected the rotary width 32 of head size 128 that partial_rotary_factor gives, found 64"
    )]
    [InlineData(
        "attn_rotary_emb",
        "200",
        "attn_rotary_emb: expected an even rotary width from 0 to the head size 128, found 200"
    )]
    [InlineData(
        "rope_scaling",
        "{\"type\": \"yarn\"}",
        "rope_parameters.rope_type: expected \"default\" or \"linear\", found \"yarn\""
    )]
    [InlineData("torch_dtype", "\"int4\"", "torch_dtype: expected float32, float16 or bfloat16, found \"int4\"")]
    [InlineData("rms_norm_eps", "-1", "rms_norm_eps: expected a number that is not negative, found -1")]
    [InlineData("tie_word_embeddings", "1", "tie_word_embeddings: expected true or false, found 1")]
    [InlineData("mamba_conv_bias", "\"yes\"", "mamba_conv_bias: expected true or false, found \"yes\"")]
    public void A_value_that_is_wrong_or_contradicts_another_is_refused_by_its_key(
        string key,
        string value,
        string expected
    )
    {
        JsonObject json = Old();
        json[key] = JsonNode.Parse(value);
        Assert.Contains(expected, Refusal(json));
    }

    [Fact]
    public void Lists_of_layers_that_disagree_are_refused()
    {
        JsonObject json = Old();
        json["layer_types"] = new JsonArray([
            .. Enumerable.Range(0, 32).Select(i => (JsonNode)(i == 8 ? "attention" : "mamba")),
        ]);
        Assert.Contains(
            "layer_types: expected the layers of attn_layer_indices, found layer 8 to be Attention",
            Refusal(json)
        );
    }

    [Theory]
    [InlineData("{", "is not JSON")]
    [InlineData("[]", "expected a JSON object, found []")]
    [InlineData("", "is not JSON")]
    public void Text_that_is_no_configuration_is_refused(string text, string expected)
    {
        BambaFormatException error = Assert.Throws<BambaFormatException>(() =>
            BambaConfig.Parse(Encoding.UTF8.GetBytes(text), "c.json")
        );
        Assert.StartsWith("c.json: ", error.Message);
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        string path = Path.Combine(TestData.Root, Nine, "absent.json");
        Assert.Equal(
            $"{path}: no such file",
            Assert.Throws<BambaFormatException>(() => BambaConfig.Load(path)).Message
        );
    }

    [Fact]
    public void Every_reference_case_reads()
    {
        foreach (string name in TestData.CaseNames)
        {
            BambaConfig config = BambaConfig.Load(Path.Combine(TestData.Case(name), "config.json"));
            Assert.Equal(320, config.VocabSize);
        }
    }

    [Fact]
    public void Inverse_frequencies_fall_from_one_by_equal_factors()
    {
        float[] frequencies = BambaConfig.Load(TestData.Bamba9BConfig).Rope.InverseFrequencies();
        Assert.Equal(32, frequencies.Length);
        Assert.Equal(1f, frequencies[0]);
        Assert.Equal(Math.Pow(10000, -62.0 / 64), frequencies[31], 1e-10);
    }
}
