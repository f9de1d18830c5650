using System.Collections.Immutable;
using System.Text.Json;

namespace Bamba.Onnx.Contract;

/// <summary>Reads config.json in every spelling of transformers 4.48 to 5.17. Defaults are those of Hugging Face's <c>BambaConfig</c>.</summary>
internal static class BambaConfigReader
{
    private const double DefaultPartialRotaryFactor = 0.5;

    public static BambaConfig Read(ReadOnlySpan<byte> json, string source)
    {
        using JsonDocument document = PythonJson.Parse(json, source);
        JsonFields fields = JsonFields.Of(document.RootElement, source);

        string modelType = fields.Text("model_type") ?? "bamba";
        if (modelType != "bamba")
        {
            throw fields.Error("model_type", $"expected \"bamba\", found \"{modelType}\"");
        }
        string activation = fields.Text("hidden_act") ?? "silu";
        if (activation is not ("silu" or "swish"))
        {
            throw fields.Error(
                "hidden_act",
                $"expected \"silu\", the only activation supported, found \"{activation}\""
            );
        }

        int hiddenSize = fields.Size("hidden_size", 4096);
        int numAttentionHeads = fields.Size("num_attention_heads", 32);
        int numLayers = fields.Size("num_hidden_layers", 32);
        int headDim = HeadDim(fields, hiddenSize, numAttentionHeads);
        int mambaNumHeads = fields.Size("mamba_n_heads", 128);
        (float timeStepMin, float timeStepMax) = TimeStepLimit(fields);

        var config = new BambaConfig
        {
            VocabSize = fields.Size("vocab_size", 128000),
            HiddenSize = hiddenSize,
            IntermediateSize = fields.Size("intermediate_size", 14336),
            Layers = Layers(fields, numLayers),
            NumAttentionHeads = numAttentionHeads,
            NumKeyValueHeads = fields.Size("num_key_value_heads", KeyValueHeadsDefault(fields, numAttentionHeads)),
            HeadDim = headDim,
            Rope = Rope(fields, headDim),
            AttentionBias = fields.Bool("attention_bias", false),
            AttentionDropout = NonNegative(fields, "attention_dropout", 0),
            MlpBias = fields.Bool("mlp_bias", false),
            MambaNumHeads = mambaNumHeads,
            MambaHeadDim = MambaHeadDim(fields, hiddenSize, mambaNumHeads),
            MambaNumGroups = fields.Size("mamba_n_groups", 1),
            MambaStateSize = fields.Size("mamba_d_state", 256),
            MambaConvKernel = fields.Size("mamba_d_conv", 4),
            MambaChunkSize = fields.Size("mamba_chunk_size", 256),
            MambaConvBias = fields.Bool("mamba_conv_bias", true),
            MambaProjBias = fields.Bool("mamba_proj_bias", false),
            TimeStepMin = timeStepMin,
            TimeStepMax = timeStepMax,
            RmsNormEps = NonNegative(fields, "rms_norm_eps", 1e-5),
            TieWordEmbeddings = fields.Bool("tie_word_embeddings", false),
            MaxPositionEmbeddings = fields.Size("max_position_embeddings", 262144),
            InitializerRange = NonNegative(fields, "initializer_range", 0.02),
            ZLossCoefficient = NonNegative(fields, "z_loss_coefficient", 0),
            PadTokenId = fields.Int("pad_token_id"),
            BosTokenId = fields.Int("bos_token_id"),
            EosTokenIds = EosTokenIds(fields),
            Dtype = Dtype(fields),
        };
        RequireMultiple(
            fields,
            "num_attention_heads",
            config.NumAttentionHeads,
            "num_key_value_heads",
            config.NumKeyValueHeads
        );
        RequireMultiple(fields, "mamba_n_heads", config.MambaNumHeads, "mamba_n_groups", config.MambaNumGroups);
        if (config.MambaConvKernel < 2)
        {
            throw fields.Error("mamba_d_conv", $"expected at least 2 taps, found {config.MambaConvKernel}");
        }
        if (config.AttentionDropout >= 1)
        {
            throw fields.Error("attention_dropout", $"expected a probability below 1, found {config.AttentionDropout}");
        }
        return config;
    }

    private static int KeyValueHeadsDefault(JsonFields fields, int numAttentionHeads) =>
        // Hugging Face reads an explicit null as "as many as query heads", and an absent key as 8.
        fields.IsNull("num_key_value_heads")
            ? numAttentionHeads
            : 8;

    private static int HeadDim(JsonFields fields, int hiddenSize, int numAttentionHeads)
    {
        if (fields.Find("head_dim") is not null)
        {
            return fields.Size("head_dim");
        }
        RequireMultiple(fields, "hidden_size", hiddenSize, "num_attention_heads", numAttentionHeads);
        return hiddenSize / numAttentionHeads;
    }

    private static int MambaHeadDim(JsonFields fields, int hiddenSize, int numHeads)
    {
        int inner = checked(fields.Size("mamba_expand", 2) * hiddenSize);
        if (inner % numHeads != 0)
        {
            throw fields.Error(
                "mamba_n_heads",
                $"expected a divisor of mamba_expand * hidden_size = {inner}, found {numHeads}"
            );
        }
        int derived = inner / numHeads;
        if (
            fields.Find("mamba_d_head") is not { } value
            || (value.ValueKind == JsonValueKind.String && value.GetString() == "auto")
        )
        {
            return derived;
        }
        int given = fields.AsInt("mamba_d_head", value);
        return given == derived
            ? given
            : throw fields.Error(
                "mamba_d_head",
                $"expected mamba_expand * hidden_size / mamba_n_heads = {derived} (or \"auto\"), found {given}"
            );
    }

    private static ImmutableArray<LayerKind> Layers(JsonFields fields, int numLayers)
    {
        LayerKind[]? fromIndices = LayersFromIndices(fields, numLayers);
        LayerKind[]? layers = fromIndices;
        string layersKey = "attn_layer_indices";
        foreach (string key in (string[])["layer_types", "layers_block_type"])
        {
            if (LayersFromNames(fields, key, numLayers) is not { } named)
            {
                continue;
            }
            if (layers is not null && !layers.AsSpan().SequenceEqual(named))
            {
                int at = layers.AsSpan().CommonPrefixLength(named);
                throw fields.Error(
                    key,
                    $"expected the layers of {layersKey}, found layer {at} to be {named[at]} instead of {layers[at]}"
                );
            }
            (layers, layersKey) = (named, key);
        }
        layers ??= Enumerable.Repeat(LayerKind.Mamba, numLayers).ToArray();
        return ImmutableArray.Create(layers);
    }

    private static LayerKind[]? LayersFromIndices(JsonFields fields, int numLayers)
    {
        const string Key = "attn_layer_indices";
        if (fields.List(Key) is not { } list)
        {
            return null;
        }
        var layers = new LayerKind[numLayers];
        foreach (JsonElement element in list)
        {
            int index = fields.AsInt(Key, element);
            if (index < 0 || index >= numLayers)
            {
                throw fields.Error(Key, $"expected indices below num_hidden_layers = {numLayers}, found {index}");
            }
            layers[index] = LayerKind.Attention;
        }
        return layers;
    }

    private static LayerKind[]? LayersFromNames(JsonFields fields, string key, int numLayers)
    {
        if (fields.List(key) is not { } list)
        {
            return null;
        }
        if (list.Length != numLayers)
        {
            throw fields.Error(key, $"expected num_hidden_layers = {numLayers} entries, found {list.Length}");
        }
        return Array.ConvertAll(
            list,
            element =>
                (element.ValueKind == JsonValueKind.String ? element.GetString() : null) switch
                {
                    "mamba" or "linear_attention" => LayerKind.Mamba,
                    "attention" or "full_attention" => LayerKind.Attention,
                    _ => throw fields.Error(
                        key,
                        $"expected mamba, linear_attention, attention or full_attention, found {JsonFields.Describe(element)}"
                    ),
                }
        );
    }

    /// <summary>
    /// The rotary width from <c>rope_parameters.partial_rotary_factor</c>, <c>partial_rotary_factor</c> or
    /// <c>attn_rotary_emb</c>: those given must agree; with none, half the head rotates.
    /// </summary>
    private static RopeParameters Rope(JsonFields fields, int headDim)
    {
        JsonFields? rope = fields.Object("rope_parameters") ?? fields.Object("rope_scaling");
        (string Key, int Dim)? found = null;
        Agree(rope?.Number("partial_rotary_factor"), "rope_parameters.partial_rotary_factor", headDim);
        Agree(fields.Number("partial_rotary_factor"), "partial_rotary_factor", headDim);
        Agree(fields.Int("attn_rotary_emb"), "attn_rotary_emb", 1);
        int rotaryDim = found?.Dim ?? (int)(headDim * DefaultPartialRotaryFactor);
        if (rotaryDim < 0 || rotaryDim > headDim || rotaryDim % 2 != 0)
        {
            throw fields.Error(
                found?.Key ?? "partial_rotary_factor",
                $"expected an even rotary width from 0 to the head size {headDim}, found {rotaryDim}"
            );
        }

        double theta = rope?.Number("rope_theta") ?? fields.Number("rope_theta") ?? 10000.0;
        if (!(theta > 0) || double.IsInfinity(theta))
        {
            throw fields.Error("rope_theta", $"expected a positive number, found {theta}");
        }
        return new RopeParameters(theta, rotaryDim, RopeScaling(fields, rope));

        void Agree(double? value, string key, int unit)
        {
            if (value is not { } given)
            {
                return;
            }
            int dim = (int)(given * unit);
            if (found is { } earlier && earlier.Dim != dim)
            {
                throw fields.Error(
                    key,
                    $"expected the rotary width {earlier.Dim} of head size {headDim} that {earlier.Key} gives, found {dim}"
                );
            }
            found ??= (key, dim);
        }
    }

    private static double RopeScaling(JsonFields fields, JsonFields? rope)
    {
        string type = rope?.Text("rope_type") ?? rope?.Text("type") ?? "default";
        switch (type)
        {
            case "default":
                return 1.0;
            case "linear":
                double factor =
                    rope?.Number("factor")
                    ?? throw fields.Error("rope_parameters.factor", "expected a number, found nothing");
                return factor >= 1
                    ? factor
                    : throw fields.Error("rope_parameters.factor", $"expected at least 1, found {factor}");
            default:
                throw fields.Error(
                    "rope_parameters.rope_type",
                    $"expected \"default\" or \"linear\", found \"{type}\""
                );
        }
    }

    private static (float Min, float Max) TimeStepLimit(JsonFields fields)
    {
        const string Key = "time_step_limit";
        if (fields.List(Key) is not { } limits)
        {
            return (0f, float.PositiveInfinity);
        }
        if (limits.Length != 2)
        {
            throw fields.Error(Key, $"expected two numbers, found {limits.Length}");
        }
        float min = (float)fields.AsNumber(Key, limits[0]);
        float max = (float)fields.AsNumber(Key, limits[1]);
        return min >= 0 && min <= max
            ? (min, max)
            : throw fields.Error(Key, $"expected 0 <= lower <= upper, found {min} and {max}");
    }

    private static ImmutableArray<int> EosTokenIds(JsonFields fields)
    {
        const string Key = "eos_token_id";
        return fields.Find(Key) switch
        {
            null => [],
            { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Select(id => fields.AsInt(Key, id))],
            { } id => [fields.AsInt(Key, id)],
        };
    }

    private static ElementType? Dtype(JsonFields fields)
    {
        string key = fields.Find("dtype") is null ? "torch_dtype" : "dtype";
        string? name = fields.Text(key);
        if (name is null or "auto")
        {
            return null;
        }
        return ElementTypes.TryParse(name, out ElementType type)
            ? type
            : throw fields.Error(key, $"expected float32, float16 or bfloat16, found \"{name}\"");
    }

    private static double NonNegative(JsonFields fields, string key, double fallback)
    {
        double value = fields.Number(key) ?? fallback;
        return double.IsFinite(value) && value >= 0
            ? value
            : throw fields.Error(key, $"expected a number that is not negative, found {value}");
    }

    private static void RequireMultiple(JsonFields fields, string key, int value, string divisorKey, int divisor)
    {
        if (value % divisor != 0)
        {
            throw fields.Error(key, $"expected a multiple of {divisorKey} = {divisor}, found {value}");
        }
    }
}
