using System.Collections.Immutable;
using System.Text.Json;

namespace Bamba.Onnx.Contract;

/// <summary>Reads config.json in every spelling of transformers 4.48 to 5.17. Defaults are those of Hugging Face's <c>BambaConfig</c>.</summary>
internal static class BambaConfigReader
{
    private const double DefaultPartialRotaryFactor = 0.5;

    public static BambaConfig Read(ReadOnlySpan<byte> text, string source)
    {
        using JsonDocument document = PythonJson.Parse(text, source);
        var json = new JsonAt(document.RootElement, source, "");
        if (json.Element.ValueKind != JsonValueKind.Object)
        {
            throw json.Expected("a JSON object");
        }

        string typeKey = json.Find(BambaConfig.SourceModelTypeKey) is null
            ? "model_type"
            : BambaConfig.SourceModelTypeKey;
        string modelType = json.Find(typeKey)?.Text() ?? BambaConfig.ModelType;
        if (modelType != BambaConfig.ModelType)
        {
            throw json.Error(typeKey, $"expected \"{BambaConfig.ModelType}\", found \"{modelType}\"");
        }
        string activation = json.Find("hidden_act")?.Text() ?? "silu";
        if (activation is not ("silu" or "swish"))
        {
            throw json.Error("hidden_act", $"expected \"silu\", the only activation supported, found \"{activation}\"");
        }

        int hiddenSize = json.Find("hidden_size")?.PositiveInt() ?? 4096;
        int numAttentionHeads = json.Find("num_attention_heads")?.PositiveInt() ?? 32;
        int numLayers = json.Find("num_hidden_layers")?.PositiveInt() ?? 32;
        int headDim = HeadDim(json, hiddenSize, numAttentionHeads);
        int mambaNumHeads = json.Find("mamba_n_heads")?.PositiveInt() ?? 128;
        (float timeStepMin, float timeStepMax) = TimeStepLimit(json);

        var config = new BambaConfig
        {
            VocabSize = json.Find("vocab_size")?.PositiveInt() ?? 128000,
            HiddenSize = hiddenSize,
            IntermediateSize = json.Find("intermediate_size")?.PositiveInt() ?? 14336,
            Layers = Layers(json, numLayers),
            NumAttentionHeads = numAttentionHeads,
            NumKeyValueHeads =
                json.Find("num_key_value_heads")?.PositiveInt() ?? KeyValueHeadsDefault(json, numAttentionHeads),
            HeadDim = headDim,
            Rope = Rope(json, headDim),
            AttentionBias = json.Find("attention_bias")?.Bool() ?? false,
            AttentionDropout = NonNegative(json, "attention_dropout", 0),
            MlpBias = json.Find("mlp_bias")?.Bool() ?? false,
            MambaNumHeads = mambaNumHeads,
            MambaHeadDim = MambaHeadDim(json, hiddenSize, mambaNumHeads),
            MambaNumGroups = json.Find("mamba_n_groups")?.PositiveInt() ?? 1,
            MambaStateSize = json.Find("mamba_d_state")?.PositiveInt() ?? 256,
            MambaConvKernel = json.Find("mamba_d_conv")?.PositiveInt() ?? 4,
            MambaChunkSize = json.Find("mamba_chunk_size")?.PositiveInt() ?? 256,
            MambaConvBias = json.Find("mamba_conv_bias")?.Bool() ?? true,
            MambaProjBias = json.Find("mamba_proj_bias")?.Bool() ?? false,
            TimeStepMin = timeStepMin,
            TimeStepMax = timeStepMax,
            RmsNormEps = NonNegative(json, "rms_norm_eps", 1e-5),
            TieWordEmbeddings = json.Find("tie_word_embeddings")?.Bool() ?? false,
            MaxPositionEmbeddings = json.Find("max_position_embeddings")?.PositiveInt() ?? 262144,
            InitializerRange = NonNegative(json, "initializer_range", 0.02),
            ZLossCoefficient = NonNegative(json, "z_loss_coefficient", 0),
            PadTokenId = json.Find("pad_token_id")?.Int(),
            BosTokenId = json.Find("bos_token_id")?.Int(),
            EosTokenIds = EosTokenIds(json),
            Dtype = Dtype(json),
        };
        RequireMultiple(
            json,
            "num_attention_heads",
            config.NumAttentionHeads,
            "num_key_value_heads",
            config.NumKeyValueHeads
        );
        RequireMultiple(json, "mamba_n_heads", config.MambaNumHeads, "mamba_n_groups", config.MambaNumGroups);
        if (config.MambaConvKernel < 2)
        {
            throw json.Error("mamba_d_conv", $"expected at least 2 taps, found {config.MambaConvKernel}");
        }
        if (config.AttentionDropout >= 1)
        {
            throw json.Error("attention_dropout", $"expected a probability below 1, found {config.AttentionDropout}");
        }
        return config;
    }

    private static int KeyValueHeadsDefault(JsonAt json, int numAttentionHeads) =>
        // Hugging Face reads an explicit null as "as many as query heads", and an absent key as 8.
        json.Element.TryGetProperty("num_key_value_heads", out _)
            ? numAttentionHeads
            : 8;

    private static int HeadDim(JsonAt json, int hiddenSize, int numAttentionHeads)
    {
        if (json.Find("head_dim") is { } given)
        {
            return given.PositiveInt();
        }
        RequireMultiple(json, "hidden_size", hiddenSize, "num_attention_heads", numAttentionHeads);
        return hiddenSize / numAttentionHeads;
    }

    private static int MambaHeadDim(JsonAt json, int hiddenSize, int numHeads)
    {
        int expand = json.Find("mamba_expand")?.PositiveInt() ?? 2;
        if (expand > int.MaxValue / hiddenSize)
        {
            throw json.Error(
                "mamba_expand",
                $"expected at most {int.MaxValue / hiddenSize} with hidden_size = {hiddenSize}, found {expand}"
            );
        }
        int inner = expand * hiddenSize;
        if (inner % numHeads != 0)
        {
            throw json.Error(
                "mamba_n_heads",
                $"expected a divisor of mamba_expand * hidden_size = {inner}, found {numHeads}"
            );
        }
        int derived = inner / numHeads;
        if (
            json.Find("mamba_d_head") is not { } value
            || (value.Element.ValueKind == JsonValueKind.String && value.Text() == "auto")
        )
        {
            return derived;
        }
        return value.Int() == derived
            ? derived
            : throw value.Expected($"mamba_expand * hidden_size / mamba_n_heads = {derived} (or \"auto\")");
    }

    private static ImmutableArray<LayerKind> Layers(JsonAt json, int numLayers)
    {
        LayerKind[]? fromIndices = LayersFromIndices(json, numLayers);
        LayerKind[]? layers = fromIndices;
        string layersKey = "attn_layer_indices";
        foreach (string key in (string[])["layer_types", "layers_block_type"])
        {
            if (LayersFromNames(json, key, numLayers) is not { } named)
            {
                continue;
            }
            if (layers is not null && !layers.AsSpan().SequenceEqual(named))
            {
                int at = layers.AsSpan().CommonPrefixLength(named);
                throw json.Error(
                    key,
                    $"expected the layers of {layersKey}, found layer {at} to be {named[at]} instead of {layers[at]}"
                );
            }
            (layers, layersKey) = (named, key);
        }
        layers ??= Enumerable.Repeat(LayerKind.Mamba, numLayers).ToArray();
        return ImmutableArray.Create(layers);
    }

    private static LayerKind[]? LayersFromIndices(JsonAt json, int numLayers)
    {
        if (json.Find("attn_layer_indices") is not { } list)
        {
            return null;
        }
        var layers = new LayerKind[numLayers];
        foreach (JsonAt item in list.Items())
        {
            int index = item.Int();
            if (index < 0 || index >= numLayers)
            {
                throw list.Error($"expected indices below num_hidden_layers = {numLayers}, found {index}");
            }
            layers[index] = LayerKind.Attention;
        }
        return layers;
    }

    private static LayerKind[]? LayersFromNames(JsonAt json, string key, int numLayers)
    {
        if (json.Find(key) is not { } list)
        {
            return null;
        }
        if (list.Count != numLayers)
        {
            throw list.Error($"expected num_hidden_layers = {numLayers} entries, found {list.Count}");
        }
        return
        [
            .. list.Items()
                .Select(item =>
                    item.Text() switch
                    {
                        "mamba" or "linear_attention" => LayerKind.Mamba,
                        "attention" or "full_attention" => LayerKind.Attention,
                        _ => throw item.Expected("mamba, linear_attention, attention or full_attention"),
                    }
                ),
        ];
    }

    /// <summary>
    /// The rotary width from <c>rope_parameters.partial_rotary_factor</c>, <c>partial_rotary_factor</c> or
    /// <c>attn_rotary_emb</c>: those given must agree; with none, half the head rotates.
    /// </summary>
    private static RopeParameters Rope(JsonAt json, int headDim)
    {
        JsonAt? rope = json.Find("rope_parameters") ?? json.Find("rope_scaling");
        (string Key, int Dim)? found = null;
        Agree(rope?.Find("partial_rotary_factor")?.Number(), "rope_parameters.partial_rotary_factor", headDim);
        Agree(json.Find("partial_rotary_factor")?.Number(), "partial_rotary_factor", headDim);
        Agree(json.Find("attn_rotary_emb")?.Int(), "attn_rotary_emb", 1);
        int rotaryDim = found?.Dim ?? (int)(headDim * DefaultPartialRotaryFactor);
        if (rotaryDim < 0 || rotaryDim > headDim || rotaryDim % 2 != 0)
        {
            throw json.Error(
                found?.Key ?? "partial_rotary_factor",
                $"expected an even rotary width from 0 to the head size {headDim}, found {rotaryDim}"
            );
        }

        double theta = rope?.Find("rope_theta")?.Number() ?? json.Find("rope_theta")?.Number() ?? 10000.0;
        if (!(theta > 0) || double.IsInfinity(theta))
        {
            throw json.Error("rope_theta", $"expected a positive number, found {theta}");
        }
        return new RopeParameters(theta, rotaryDim, RopeScaling(json, rope));

        void Agree(double? value, string key, int unit)
        {
            if (value is not { } given)
            {
                return;
            }
            int dim = (int)(given * unit);
            if (found is { } earlier && earlier.Dim != dim)
            {
                throw json.Error(
                    key,
                    $"expected the rotary width {earlier.Dim} of head size {headDim} that {earlier.Key} gives, found {dim}"
                );
            }
            found ??= (key, dim);
        }
    }

    private static double RopeScaling(JsonAt json, JsonAt? rope)
    {
        string type = rope?.Find("rope_type")?.Text() ?? rope?.Find("type")?.Text() ?? "default";
        switch (type)
        {
            case "default":
                return 1.0;
            case "linear":
                double factor =
                    rope?.Find("factor")?.Number()
                    ?? throw json.Error("rope_parameters.factor", "expected a number, found nothing");
                return factor >= 1
                    ? factor
                    : throw json.Error("rope_parameters.factor", $"expected at least 1, found {factor}");
            default:
                throw json.Error("rope_parameters.rope_type", $"expected \"default\" or \"linear\", found \"{type}\"");
        }
    }

    private static (float Min, float Max) TimeStepLimit(JsonAt json)
    {
        if (json.Find("time_step_limit") is not { } limits)
        {
            return (0f, float.PositiveInfinity);
        }
        if (limits.Count != 2)
        {
            throw limits.Error($"expected two numbers, found {limits.Count}");
        }
        float[] values = [.. limits.Items().Select(limit => (float)limit.Number())];
        (float min, float max) = (values[0], values[1]);
        return min >= 0 && min <= max
            ? (min, max)
            : throw limits.Error($"expected 0 <= lower <= upper, found {min} and {max}");
    }

    private static ImmutableArray<int> EosTokenIds(JsonAt json) =>
        json.Find("eos_token_id") switch
        {
            null => [],
            { Element.ValueKind: JsonValueKind.Array } list => [.. list.Items().Select(id => id.Int())],
            { } id => [id.Int()],
        };

    private static ElementType? Dtype(JsonAt json)
    {
        string key = json.Find("dtype") is null ? "torch_dtype" : "dtype";
        string? name = json.Find(key)?.Text();
        if (name is null or "auto")
        {
            return null;
        }
        return ElementTypes.TryParse(name, out ElementType type)
            ? type
            : throw json.Error(key, $"expected float32, float16 or bfloat16, found \"{name}\"");
    }

    private static double NonNegative(JsonAt json, string key, double fallback)
    {
        double value = json.Find(key)?.Number() ?? fallback;
        return double.IsFinite(value) && value >= 0
            ? value
            : throw json.Error(key, $"expected a number that is not negative, found {value}");
    }

    private static void RequireMultiple(JsonAt json, string key, int value, string divisorKey, int divisor)
    {
        if (value % divisor != 0)
        {
            throw json.Error(key, $"expected a multiple of {divisorKey} = {divisor}, found {value}");
        }
    }
}
