using System.Globalization;
using System.Text.Json;

namespace Bamba.Onnx.Contract;

/// <summary>Typed access to a JSON object whose every error names the file and the key. A null value reads as absent.</summary>
internal readonly struct JsonFields(JsonElement json, string source, string prefix = "")
{
    public static JsonFields Of(JsonElement json, string source) =>
        json.ValueKind == JsonValueKind.Object
            ? new JsonFields(json, source)
            : throw new BambaFormatException(source, $"expected a JSON object, found {Describe(json)}");

    public BambaFormatException Error(string key, string problem) => new(source, $"{prefix}{key}: {problem}");

    public JsonElement? Find(string key) =>
        json.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public bool IsNull(string key) =>
        json.TryGetProperty(key, out JsonElement value) && value.ValueKind == JsonValueKind.Null;

    public JsonFields? Object(string key) =>
        Find(key) switch
        {
            null => null,
            { ValueKind: JsonValueKind.Object } value => new JsonFields(value, source, $"{prefix}{key}."),
            { } value => throw Error(key, $"expected an object, found {Describe(value)}"),
        };

    public int? Int(string key) => Find(key) is { } value ? AsInt(key, value) : null;

    public int Size(string key, int? fallback = null)
    {
        int value = Int(key) ?? fallback ?? throw Error(key, "expected a positive integer, found nothing");
        return value > 0 ? value : throw Error(key, $"expected a positive integer, found {value}");
    }

    public bool Bool(string key, bool fallback) =>
        Find(key) switch
        {
            null => fallback,
            { ValueKind: JsonValueKind.True } => true,
            { ValueKind: JsonValueKind.False } => false,
            { } value => throw Error(key, $"expected true or false, found {Describe(value)}"),
        };

    public double? Number(string key) => Find(key) is { } value ? AsNumber(key, value) : null;

    public string? Text(string key) =>
        Find(key) switch
        {
            null => null,
            { ValueKind: JsonValueKind.String } value => value.GetString(),
            { } value => throw Error(key, $"expected a string, found {Describe(value)}"),
        };

    public JsonElement[]? List(string key) =>
        Find(key) switch
        {
            null => null,
            { ValueKind: JsonValueKind.Array } value => [.. value.EnumerateArray()],
            { } value => throw Error(key, $"expected a list, found {Describe(value)}"),
        };

    public int AsInt(string key, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number)
            ? number
            : throw Error(key, $"expected an integer, found {Describe(value)}");

    /// <summary>A number, or transformers 5's <c>{"__float__": "Infinity"}</c>.</summary>
    public double AsNumber(string key, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Number)
        {
            return value.GetDouble();
        }
        if (
            value.ValueKind == JsonValueKind.Object
            && value.TryGetProperty("__float__", out JsonElement text)
            && text.ValueKind == JsonValueKind.String
            && double.TryParse(text.GetString(), CultureInfo.InvariantCulture, out double special)
        )
        {
            return special;
        }
        throw Error(key, $"expected a number, found {Describe(value)}");
    }

    public static string Describe(JsonElement value)
    {
        string text = value.GetRawText();
        return text.Length <= 60 ? text : string.Concat(text.AsSpan(0, 57), "...");
    }
}
