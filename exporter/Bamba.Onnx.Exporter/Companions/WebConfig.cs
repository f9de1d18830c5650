using System.Text.Json;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Companions;

/// <summary>
/// config.json as transformers.js reads it. It knows no Bamba, but a hybrid of the same caches, and learns from its type which
/// names to look for; the checkpoint's own type stays under another key, where this project looks first.
/// </summary>
internal static class WebConfig
{
    private const string HybridType = "granitemoehybrid";
    private const string HybridClass = "GraniteMoeHybridForCausalLM";

    /// <summary>Writes the file.</summary>
    /// <exception cref="BambaFormatException">The checkpoint's file is damaged.</exception>
    public static void Write(string checkpoint, string folder, BambaConfig config, ExportLayout layout, int weightFiles)
    {
        string source = Path.Combine(checkpoint, ModelFiles.Config);
        // Strict JSON: JavaScript reads no bare Infinity, which transformers 4 writes.
        using JsonDocument read = PythonJson.Parse(JsonFile.ReadAllBytes(source), source);
        JsonObject json = JsonObject.Create(read.RootElement)!;
        json["architectures"] = new JsonArray(HybridClass);
        json["model_type"] = HybridType;
        json[BambaConfig.SourceModelTypeKey] = BambaConfig.ModelType;
        // Not attn_layer_indices, and no defaults: transformers.js has none of Hugging Face's.
        json["layer_types"] = new JsonArray([
            .. config.Layers.Select(kind => (JsonNode)(kind == LayerKind.Mamba ? "mamba" : "attention")),
        ]);
        json["num_hidden_layers"] = config.Layers.Length;
        json["num_attention_heads"] = config.NumAttentionHeads;
        json["num_key_value_heads"] = config.NumKeyValueHeads;
        json["head_dim"] = config.HeadDim;
        json["hidden_size"] = config.HiddenSize;
        json["vocab_size"] = config.VocabSize;
        string graph = Path.GetFileName(layout.Graph(GraphProfile.Web));
        json["transformers.js_config"] = new JsonObject
        {
            ["dtype"] = layout.WebDtype!.Value.Name(),
            ["use_external_data_format"] = new JsonObject { [graph] = weightFiles },
        };
        File.WriteAllText(Path.Combine(folder, ModelFiles.Config), json.ToJsonString(CompanionFiles.Readable) + "\n");
    }
}
