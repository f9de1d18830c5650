using System.Collections.Immutable;
using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Generation;

/// <summary>What a model's generation_config.json says of how to generate with it.</summary>
/// <param name="Sampling">Greedy unless the file says <c>do_sample</c>; penalties and bans of repetition hold either way, as in Hugging Face's generate.</param>
/// <param name="EosTokenIds">The tokens that end a text.</param>
/// <param name="MaxNewTokens">Tokens to generate at most, where the file says so.</param>
public sealed record GenerationDefaults(SamplingOptions Sampling, ImmutableArray<int> EosTokenIds, int? MaxNewTokens)
{
    /// <summary>
    /// The tokens that Hugging Face's <c>generate</c> draws among where neither the file nor the caller says (GenerationConfig's
    /// <c>top_k</c>). A file turns it off with 0.
    /// </summary>
    private const int TopKOfSampling = 50;

    /// <summary>Reads the file of a folder; without one, end tokens come from the configuration and generation is greedy.</summary>
    /// <exception cref="BambaFormatException">
    /// The file is damaged, or a value is of the wrong kind or out of range: the message names the key.
    /// </exception>
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
            return Read(new Fields(json.RootElement, path), config);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new BambaFormatException(path, e.Message, e);
        }
    }

    private static GenerationDefaults Read(Fields fields, BambaConfig config)
    {
        SamplingOptions sampling = SamplingOptions.Greedy;
        if (fields.Bool("do_sample") ?? false)
        {
            sampling = new SamplingOptions { TopK = TopKOfSampling };
            sampling = fields.Set(sampling, "temperature", fields.Number, (s, value) => s with { Temperature = value });
            sampling = fields.Set(sampling, "top_k", fields.Int, (s, k) => s with { TopK = k == 0 ? null : k });
            sampling = fields.Set(sampling, "top_p", fields.Number, (s, value) => s with { TopP = value });
            sampling = fields.Set(sampling, "min_p", fields.Number, (s, value) => s with { MinP = value });
            sampling = fields.Set(sampling, "typical_p", fields.Number, (s, value) => s with { TypicalP = value });
        }
        sampling = fields.Set(
            sampling,
            "repetition_penalty",
            fields.Number,
            (s, value) => s with { RepetitionPenalty = value }
        );
        sampling = fields.Set(
            sampling,
            "no_repeat_ngram_size",
            fields.Int,
            (s, value) => s with { NoRepeatNgramSize = value }
        );
        return new GenerationDefaults(
            sampling,
            fields.Ids("eos_token_id") ?? config.EosTokenIds,
            fields.Count("max_new_tokens")
        );
    }

    /// <summary>The values of the file, each null where it is absent or null.</summary>
    private sealed class Fields
    {
        private readonly JsonElement root;
        private readonly string path;

        public Fields(JsonElement root, string path)
        {
            this.root = root;
            this.path = path;
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw new BambaFormatException(path, $"expected a JSON object, found {root.ValueKind}");
            }
        }

        public bool? Bool(string key) =>
            Find(key) switch
            {
                null => null,
                { ValueKind: JsonValueKind.True } => true,
                { ValueKind: JsonValueKind.False } => false,
                { } value => throw Error(key, $"expected true or false, found {value.GetRawText()}"),
            };

        public double? Number(string key) =>
            Find(key) switch
            {
                null => null,
                { ValueKind: JsonValueKind.Number } value => value.GetDouble(),
                { } value => throw Error(key, $"expected a number, found {value.GetRawText()}"),
            };

        public int? Int(string key) => Find(key) is { } value ? AsInt(key, value) : null;

        public int? Count(string key) =>
            Int(key) is { } count and < 0
                ? throw Error(key, $"expected a count that is not negative, found {count}")
                : Int(key);

        /// <summary>An id or a list of ids.</summary>
        public ImmutableArray<int>? Ids(string key) =>
            Find(key) switch
            {
                null => null,
                { ValueKind: JsonValueKind.Array } list => [.. list.EnumerateArray().Select(id => AsInt(key, id))],
                { } id => [AsInt(key, id)],
            };

        /// <summary>Sets an option to a key's value where the file has it.</summary>
        public SamplingOptions Set<T>(
            SamplingOptions sampling,
            string key,
            Func<string, T?> read,
            Func<SamplingOptions, T, SamplingOptions> with
        )
            where T : struct
        {
            try
            {
                return read(key) is { } value ? with(sampling, value) : sampling;
            }
            catch (ArgumentOutOfRangeException e)
            {
                // Who wrote the file knows the key, not the property that the runtime appends to the message.
                throw Error(key, e.Message.Replace($" (Parameter '{e.ParamName}')", "", StringComparison.Ordinal), e);
            }
        }

        private int AsInt(string key, JsonElement value) =>
            value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number)
                ? number
                : throw Error(key, $"expected an integer, found {value.GetRawText()}");

        private JsonElement? Find(string key) =>
            root.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

        private BambaFormatException Error(string key, string problem, Exception? cause = null) =>
            new(path, $"{key}: {problem}", cause);
    }
}
