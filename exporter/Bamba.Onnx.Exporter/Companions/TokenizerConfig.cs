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

    /// <summary>Writes the file where the checkpoint has one.</summary>
    /// <exception cref="BambaFormatException">The checkpoint's file is not a JSON object.</exception>
    public static void Write(string checkpoint, string folder)
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
        File.WriteAllText(
            Path.Combine(folder, ModelFiles.TokenizerConfig),
            json.ToJsonString(CompanionFiles.Readable) + "\n"
        );
    }

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
