using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Companions;

/// <summary>
/// The token that hosts pad with. ONNX Runtime GenAI looks for the end of a prompt by skipping padding backwards, so that it must
/// never be a token of ordinary text; the public Bambas say 0, which is "!".
/// </summary>
internal static class PaddingToken
{
    private static readonly string[] LikelyNames = ["pad", "reserved", "unused"];

    /// <summary>The configured token where it is a special one, else a special token meant for it, else an end token.</summary>
    public static int Choose(string folder, BambaConfig config)
    {
        List<(int Id, string Content)> special = SpecialTokens(Path.Combine(folder, ModelFiles.Tokenizer));
        int? end = config.EosTokenIds.IsEmpty ? null : config.EosTokenIds[0];
        if (special.Count == 0)
        {
            return end ?? config.PadTokenId ?? 0;
        }
        if (config.PadTokenId is { } configured && special.Any(token => token.Id == configured))
        {
            return configured;
        }
        foreach (string name in LikelyNames)
        {
            foreach ((int id, string content) in special)
            {
                if (id < config.VocabSize && content.Contains(name, StringComparison.OrdinalIgnoreCase))
                {
                    return id;
                }
            }
        }
        return end ?? special[0].Id;
    }

    private static List<(int Id, string Content)> SpecialTokens(string path)
    {
        var special = new List<(int, string)>();
        if (!File.Exists(path))
        {
            return special;
        }
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
            if (json.RootElement.TryGetProperty("added_tokens", out JsonElement tokens))
            {
                foreach (JsonElement token in tokens.EnumerateArray())
                {
                    if (token.GetProperty("special").GetBoolean())
                    {
                        special.Add((token.GetProperty("id").GetInt32(), token.GetProperty("content").GetString()!));
                    }
                }
            }
            return special;
        }
        catch (Exception e)
            when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new BambaFormatException(path, $"expected a tokenizer with added_tokens: {e.Message}", e);
        }
    }
}
