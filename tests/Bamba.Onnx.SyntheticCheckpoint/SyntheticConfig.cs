using System.Text.Json;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.SyntheticCheckpoint;

/// <summary>Changes a configuration so that its model has about a given size and still the same kind of layers.</summary>
internal static class SyntheticConfig
{
    private const string Source = "the configuration";
    private const string LayersKey = "num_hidden_layers";
    private const string AttentionKey = "attn_layer_indices";

    // With as many layers, half a layer more or less changes the size by a few hundredths.
    private const int FewestLayers = 8;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private static readonly string[] Widths =
    [
        "hidden_size",
        "intermediate_size",
        "vocab_size",
        "num_attention_heads",
        "num_key_value_heads",
        "mamba_n_heads",
    ];

    /// <summary>The config.json of a model of about <paramref name="bytes"/> bytes, or of the given size if null.</summary>
    /// <exception cref="BambaFormatException">The configuration is not valid.</exception>
    /// <exception cref="ArgumentException">No model of the kind is so small.</exception>
    public static byte[] Resize(byte[] configJson, long? bytes, ElementType dtype)
    {
        BambaConfig config = Parse(configJson);
        JsonObject json = Editable(configJson);
        // One spelling of each fact, so that another one cannot contradict the new sizes.
        json.Remove("torch_dtype");
        json.Remove("layer_types");
        json.Remove("layers_block_type");
        json["dtype"] = TorchName(dtype);
        json["head_dim"] = config.HeadDim;
        json["mamba_d_head"] = config.MambaHeadDim;
        SetLayers(json, config, config.Layers.Length);
        if (bytes is { } wanted)
        {
            SetSize(json, config, wanted, dtype);
        }
        return JsonSerializer.SerializeToUtf8Bytes(json, Indented);
    }

    /// <summary>Bytes of all parameters of a model.</summary>
    public static long BytesOf(BambaConfig config, ElementType dtype) =>
        BambaTensors.Of(config).Values.Sum(shape => shape.Aggregate(1L, (a, b) => a * b)) * dtype.SizeInBytes();

    private static void SetSize(JsonObject json, BambaConfig config, long wanted, ElementType dtype)
    {
        // Widths go up and down by powers of two, which keeps every ratio between them; the number of layers does the rest.
        for (int exponent = 6; exponent >= -12; exponent--)
        {
            if (!TrySetWidths(json, config, Math.Pow(2, exponent)))
            {
                continue;
            }
            int period = config.Layers.Length;
            long whole = BytesWithLayers(json, config, 2 * period, dtype);
            long half = BytesWithLayers(json, config, period, dtype);
            double layers = (wanted - (2.0 * half) + whole) / (whole - half) * period;
            if (layers >= FewestLayers)
            {
                SetLayers(json, config, (int)Math.Round(layers));
                return;
            }
        }
        throw new ArgumentException($"expected a size that {FewestLayers} narrow layers fit, found {wanted} bytes");
    }

    private static bool TrySetWidths(JsonObject json, BambaConfig config, double scale)
    {
        int[] widths =
        [
            config.HiddenSize,
            config.IntermediateSize,
            config.VocabSize,
            config.NumAttentionHeads,
            config.NumKeyValueHeads,
            config.MambaNumHeads,
        ];
        double[] scaled = [.. widths.Select(width => width * scale)];
        scaled[4] = Math.Max(scaled[4], 1);
        if (scaled.Any(width => width != Math.Floor(width)) || scaled[5] % config.MambaNumGroups != 0)
        {
            return false;
        }
        for (int i = 0; i < Widths.Length; i++)
        {
            json[Widths[i]] = (int)scaled[i];
        }
        foreach (string key in (string[])["pad_token_id", "bos_token_id", "eos_token_id"])
        {
            ClampTokens(json, key, (int)scaled[2] - 1);
        }
        return true;
    }

    private static void ClampTokens(JsonObject json, string key, int last)
    {
        switch (json[key])
        {
            case JsonValue token:
                json[key] = Math.Min(token.GetValue<int>(), last);
                break;
            case JsonArray tokens:
                json[key] = new JsonArray([
                    .. tokens.Select(token => (JsonNode)Math.Min(token!.GetValue<int>(), last)),
                ]);
                break;
        }
    }

    private static long BytesWithLayers(JsonObject json, BambaConfig config, int layers, ElementType dtype)
    {
        SetLayers(json, config, layers);
        return BytesOf(Parse(JsonSerializer.SerializeToUtf8Bytes(json)), dtype);
    }

    /// <summary>Sets the number of layers; the pattern of attention layers repeats where there are more than before.</summary>
    private static void SetLayers(JsonObject json, BambaConfig config, int layers)
    {
        int period = config.Layers.Length;
        json[LayersKey] = layers;
        json[AttentionKey] = new JsonArray([
            .. Enumerable
                .Range(0, layers)
                .Where(layer => config.Layers[layer % period] == LayerKind.Attention)
                .Select(layer => (JsonNode)layer),
        ]);
    }

    private static JsonObject Editable(byte[] configJson)
    {
        try
        {
            return JsonNode.Parse(configJson)!.AsObject();
        }
        catch (JsonException e)
        {
            throw new BambaFormatException(Source, $"expected JSON without Python's bare numbers: {e.Message}", e);
        }
    }

    private static BambaConfig Parse(byte[] json) => BambaConfig.Parse(json, Source);

    private static string TorchName(ElementType dtype) =>
        dtype switch
        {
            ElementType.Float32 => "float32",
            ElementType.Float16 => "float16",
            ElementType.BFloat16 => "bfloat16",
            _ => throw new ArgumentException($"expected f32, f16 or bf16, found {dtype.ShortName()}", nameof(dtype)),
        };
}
