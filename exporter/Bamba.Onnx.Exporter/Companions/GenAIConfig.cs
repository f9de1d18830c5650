using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Companions;

/// <summary>
/// genai_config.json, what ONNX Runtime GenAI reads. The type "decoder" is the one that its releases take for a decoder with
/// both kinds of cache; states are found by the names of the graph, and keys it does not know would make it refuse the file.
/// </summary>
internal static class GenAIConfig
{
    // GenAI reserves keys and values up to max_length at once where buffers are shared, so a long default costs memory.
    private const int DefaultMaxLength = 4096;

    /// <summary>Writes the file; special tokens come from the tokenizer.json already in the folder.</summary>
    public static void Write(string folder, BambaConfig config, int contextLength)
    {
        int maxLength = Math.Min(contextLength, DefaultMaxLength);
        JsonNode eos =
            config.EosTokenIds.Length == 1
                ? JsonValue.Create(config.EosTokenIds[0])
                : new JsonArray([.. config.EosTokenIds.Select(id => (JsonNode)JsonValue.Create(id))]);
        var model = new JsonObject
        {
            ["type"] = "decoder",
            ["vocab_size"] = config.VocabSize,
            ["context_length"] = maxLength,
            ["eos_token_id"] = eos,
            ["pad_token_id"] = PaddingToken.Choose(folder, config),
            ["decoder"] = Decoder(config),
        };
        if (config.BosTokenId is { } bos)
        {
            model["bos_token_id"] = bos;
        }
        var search = new JsonObject
        {
            ["do_sample"] = false,
            ["max_length"] = maxLength,
            ["min_length"] = 0,
            ["num_beams"] = 1,
            ["num_return_sequences"] = 1,
            ["past_present_share_buffer"] = false,
            ["repetition_penalty"] = 1.0,
            ["temperature"] = 1.0,
            ["top_k"] = 1,
            ["top_p"] = 1.0,
        };
        var root = new JsonObject { ["model"] = model, ["search"] = search };
        File.WriteAllText(
            Path.Combine(folder, ModelFiles.GenAIConfig),
            root.ToJsonString(CompanionFiles.Readable) + "\n"
        );
    }

    private static JsonObject Decoder(BambaConfig config) =>
        new()
        {
            ["filename"] = ModelFiles.Graph(GraphProfile.Portable),
            ["hidden_size"] = config.HiddenSize,
            ["head_size"] = config.HeadDim,
            ["num_attention_heads"] = config.NumAttentionHeads,
            ["num_key_value_heads"] = config.NumKeyValueHeads,
            ["num_hidden_layers"] = config.Layers.Length,
            ["session_options"] = new JsonObject { ["log_id"] = "bamba", ["provider_options"] = new JsonArray() },
            ["inputs"] = new JsonObject
            {
                [TensorNames.InputIds] = TensorNames.InputIds,
                [TensorNames.AttentionMask] = TensorNames.AttentionMask,
                ["past_key_names"] = TensorNames.PastPattern(CacheKind.Key),
                ["past_value_names"] = TensorNames.PastPattern(CacheKind.Value),
            },
            ["outputs"] = new JsonObject
            {
                [TensorNames.Logits] = TensorNames.Logits,
                ["present_key_names"] = TensorNames.PresentPattern(CacheKind.Key),
                ["present_value_names"] = TensorNames.PresentPattern(CacheKind.Value),
            },
        };
}
