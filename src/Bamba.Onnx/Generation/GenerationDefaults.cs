using System.Collections.Immutable;
using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Generation;

/// <summary>What a model's generation_config.json says of how to generate with it.</summary>
/// <param name="Sampling">Greedy unless the file says <c>do_sample</c>.</param>
/// <param name="EosTokenIds">The tokens that end a text.</param>
/// <param name="MaxNewTokens">Tokens to generate at most, where the file says so.</param>
public sealed record GenerationDefaults(SamplingOptions Sampling, ImmutableArray<int> EosTokenIds, int? MaxNewTokens)
{
    /// <summary>Reads the file of a folder; without one, end tokens come from the configuration and generation is greedy.</summary>
    /// <exception cref="BambaFormatException">The file is damaged or a value is out of range.</exception>
    public static GenerationDefaults Load(string folder, BambaConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        string path = Path.Combine(folder, ModelFiles.GenerationConfig);
        if (!File.Exists(path))
        {
            return new GenerationDefaults(SamplingOptions.Greedy, config.EosTokenIds, null);
        }
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement root = json.RootElement;
            return new GenerationDefaults(
                SamplingOf(root),
                EosOf(root) ?? config.EosTokenIds,
                Number(root, "max_new_tokens")?.GetInt32()
            );
        }
        catch (Exception e)
            when (e
                    is JsonException
                        or InvalidOperationException
                        or FormatException
                        or ArgumentOutOfRangeException
                        or IOException
            )
        {
            throw new BambaFormatException(path, e.Message, e);
        }
    }

    private static SamplingOptions SamplingOf(JsonElement root)
    {
        if (!root.TryGetProperty("do_sample", out JsonElement sample) || sample.ValueKind != JsonValueKind.True)
        {
            return SamplingOptions.Greedy;
        }
        return new SamplingOptions
        {
            Temperature = Number(root, "temperature")?.GetDouble() ?? 1,
            TopK = Number(root, "top_k")?.GetInt32() is { } k and > 0 ? k : null,
            TopP = Number(root, "top_p")?.GetDouble() ?? 1,
        };
    }

    private static ImmutableArray<int>? EosOf(JsonElement root) =>
        root.TryGetProperty("eos_token_id", out JsonElement eos)
            ? eos.ValueKind switch
            {
                JsonValueKind.Number => [eos.GetInt32()],
                JsonValueKind.Array => [.. eos.EnumerateArray().Select(id => id.GetInt32())],
                _ => null,
            }
            : null;

    private static JsonElement? Number(JsonElement root, string key) =>
        root.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
