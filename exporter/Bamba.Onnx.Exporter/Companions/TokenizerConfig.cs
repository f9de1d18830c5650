using System.Text.Json;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Companions;

/// <summary>tokenizer_config.json, made fit for hosts that know only the tokenizer classes of transformers 4.</summary>
internal static class TokenizerConfig
{
    private const string ClassKey = "tokenizer_class";

    /// <summary>The class that transformers 5 writes for a tokenizer.json without one of its own.</summary>
    private const string Transformers5Class = "TokenizersBackend";

    /// <summary>What transformers 4, ONNX Runtime GenAI and transformers.js call the same.</summary>
    private const string Transformers4Class = "PreTrainedTokenizerFast";

    /// <summary>Without this key text generation of transformers.js leaves out the special tokens that the tokenizer adds.</summary>
    private const string AddBosKey = "add_bos_token";

    /// <summary>Writes the file where the checkpoint has one.</summary>
    /// <param name="checkpoint">The checkpoint's folder.</param>
    /// <param name="folder">The model folder, which has tokenizer.json already.</param>
    /// <param name="forWeb">Whether transformers.js is among the hosts.</param>
    /// <exception cref="BambaFormatException">A file is not a JSON object.</exception>
    public static void Write(string checkpoint, string folder, bool forWeb)
    {
        string source = Path.Combine(checkpoint, ModelFiles.TokenizerConfig);
        if (!File.Exists(source))
        {
            return;
        }
        JsonObject json = Read(source);
        if (json[ClassKey]?.GetValueKind() == JsonValueKind.String && (string?)json[ClassKey] == Transformers5Class)
        {
            json[ClassKey] = Transformers4Class;
        }
        string tokenizer = Path.Combine(folder, ModelFiles.Tokenizer);
        if (forWeb && json[AddBosKey] is null && File.Exists(tokenizer))
        {
            json[AddBosKey] = AddsSpecialTokens(Read(tokenizer)["post_processor"]);
        }
        File.WriteAllText(
            Path.Combine(folder, ModelFiles.TokenizerConfig),
            json.ToJsonString(CompanionFiles.Readable) + "\n"
        );
    }

    /// <summary>Whether a post-processor, or one of a sequence of them, puts special tokens around a text.</summary>
    private static bool AddsSpecialTokens(JsonNode? processor) =>
        processor is JsonObject json
        && (
            Items(json, "processors").Any(AddsSpecialTokens)
            || Items(json, "single").OfType<JsonObject>().Any(piece => piece.ContainsKey("SpecialToken"))
        );

    private static JsonArray Items(JsonObject json, string key) => json[key] as JsonArray ?? [];

    private static JsonObject Read(string path)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllBytes(path)) as JsonObject
                ?? throw new BambaFormatException(path, "expected a JSON object");
        }
        catch (JsonException e)
        {
            throw new BambaFormatException(path, $"is not JSON: {e.Message}", e);
        }
    }
}
