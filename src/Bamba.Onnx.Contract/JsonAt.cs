using System.Globalization;
using System.Text.Json;

namespace Bamba.Onnx.Contract;

/// <summary>A JSON value that knows its file and the path of keys to it, so that every error can name both.</summary>
internal readonly struct JsonAt(JsonElement element, string file, string path)
{
    private const int LongestQuotation = 60;

    public JsonElement Element => element;

    public BambaFormatException Error(string problem) => new(file, path.Length == 0 ? problem : $"{path}: {problem}");

    /// <summary>An error about a value of this object, whether it is there or not.</summary>
    public BambaFormatException Error(string key, string problem) =>
        new JsonAt(default, file, Join(key)).Error(problem);

    public BambaFormatException Expected(string what) => Error($"expected {what}, found {Describe()}");

    /// <summary>A value that must be there; null counts as absent.</summary>
    public JsonAt Get(string key) => Find(key) ?? throw Error(key, "expected a value, found nothing");

    /// <summary>A value that may be absent; null counts as absent.</summary>
    public JsonAt? Find(string key)
    {
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw Expected("an object");
        }
        return element.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? new JsonAt(value, file, Join(key))
            : null;
    }

    /// <summary>The number of items of a list.</summary>
    public int Count => element.ValueKind == JsonValueKind.Array ? element.GetArrayLength() : throw Expected("a list");

    public IEnumerable<JsonAt> Items()
    {
        if (element.ValueKind != JsonValueKind.Array)
        {
            throw Expected("a list");
        }
        // By enumeration: an index into a list of lists walks over all items before it.
        int index = 0;
        foreach (JsonElement item in element.EnumerateArray())
        {
            yield return new JsonAt(item, file, $"{path}[{index++}]");
        }
    }

    public string Text()
    {
        if (element.ValueKind != JsonValueKind.String)
        {
            throw Expected("a string");
        }
        try
        {
            return element.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new BambaFormatException(file, $"{path}: is not valid Unicode", e);
        }
    }

    public bool Bool() =>
        element.ValueKind is JsonValueKind.True or JsonValueKind.False
            ? element.GetBoolean()
            : throw Expected("true or false");

    public int Int() =>
        element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out int value)
            ? value
            : throw Expected("an integer");

    public int PositiveInt() => Int() is > 0 and int value ? value : throw Expected("a positive integer");

    /// <summary>A number, or transformers 5's <c>{"__float__": "Infinity"}</c>.</summary>
    public double Number()
    {
        if (element.ValueKind == JsonValueKind.Number)
        {
            return element.GetDouble();
        }
        if (
            element.ValueKind == JsonValueKind.Object
            && Find("__float__") is { } text
            && double.TryParse(text.Text(), CultureInfo.InvariantCulture, out double special)
        )
        {
            return special;
        }
        throw Expected("a number");
    }

    private string Describe()
    {
        string text = element.GetRawText();
        return text.Length <= LongestQuotation ? text : string.Concat(text.AsSpan(0, LongestQuotation - 3), "...");
    }

    private string Join(string key) => path.Length == 0 ? key : $"{path}.{key}";
}
