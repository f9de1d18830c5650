using System.Text.Json;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>
/// A JSON file as other hosts read it: strictly, so that a bare <c>Infinity</c> is no JSON. A file that is missing or damaged
/// is a fact about a folder like others, and no error.
/// </summary>
internal sealed class JsonFacts
{
    private const int LongestQuotation = 60;
    private const string Nothing = "nothing";

    private readonly JsonElement? root;

    private JsonFacts(string file, JsonElement? root, string? problem)
    {
        File = file;
        this.root = root;
        Problem = problem;
    }

    /// <summary>The name of the file in its folder.</summary>
    public string File { get; }

    /// <summary>Why it cannot be read; null where it can.</summary>
    public string? Problem { get; }

    public static JsonFacts Read(string folder, string file)
    {
        string path = Path.Combine(folder, file);
        if (!System.IO.File.Exists(path))
        {
            return new JsonFacts(file, null, "no such file");
        }
        try
        {
            using var document = JsonDocument.Parse(System.IO.File.ReadAllBytes(path));
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? new JsonFacts(file, document.RootElement.Clone(), null)
                : new JsonFacts(file, null, $"JSON of kind {document.RootElement.ValueKind}");
        }
        catch (JsonException e)
        {
            return new JsonFacts(file, null, $"no JSON: {e.Message}");
        }
    }

    /// <summary>The value at a path of keys; null where there is none.</summary>
    public JsonElement? At(params ReadOnlySpan<string> path)
    {
        JsonElement? at = root;
        foreach (string key in path)
        {
            at =
                at is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty(key, out JsonElement value)
                    ? value
                    : null;
        }
        return at;
    }

    /// <summary>The text at a path; null where there is no text.</summary>
    public string? TextAt(params ReadOnlySpan<string> path) =>
        At(path) is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    /// <summary>The integer at a path; null where there is no integer.</summary>
    public long? IntegerAt(params ReadOnlySpan<string> path) =>
        At(path) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out long value) ? value : null;

    /// <summary>The items of a list at a path; none where there is no list.</summary>
    public IEnumerable<JsonElement> ItemsAt(params ReadOnlySpan<string> path) =>
        At(path) is { ValueKind: JsonValueKind.Array } list ? list.EnumerateArray() : [];

    /// <summary>The keys of an object at a path; none where there is no object.</summary>
    public IEnumerable<string> KeysAt(params ReadOnlySpan<string> path) =>
        At(path) is { ValueKind: JsonValueKind.Object } json ? json.EnumerateObject().Select(entry => entry.Name) : [];

    /// <summary>Breaks a rule where the value at a path is not this one, given as JSON.</summary>
    public IEnumerable<ContractFinding> Expect(string json, params string[] path)
    {
        string found = Describe(path);
        if (found != json)
        {
            yield return Finding(json, path);
        }
    }

    /// <summary>The finding that a path should have another value.</summary>
    public ContractFinding Finding(string expected, params string[] path) =>
        new(path.Length == 0 ? File : $"{File}: {string.Join('.', path)}", expected, Describe(path));

    private string Describe(string[] path)
    {
        if (Problem is not null)
        {
            return Problem;
        }
        string text = At(path)?.GetRawText() ?? Nothing;
        return text.Length <= LongestQuotation ? text : $"{text.AsSpan(0, LongestQuotation - 1)}…";
    }
}
