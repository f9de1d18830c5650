using System.Text.Json;
using System.Text.Unicode;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>JSON of checkpoints, from files that may be damaged or made to harm: every failure names the file.</summary>
internal static class CheckpointJson
{
    private const int MaxDescription = 60;

    /// <summary>Parses JSON in which no object has a key twice, and whose every key is valid text.</summary>
    /// <exception cref="BambaFormatException">It is not that.</exception>
    public static JsonDocument Parse(string path, ReadOnlyMemory<byte> json)
    {
        // The parser passes over bytes that it cannot decode, until someone asks for the text.
        if (!Utf8.IsValid(json.Span))
        {
            throw new BambaFormatException(path, "is damaged, expected UTF-8");
        }
        try
        {
            // Of a key given twice, readers disagree which value counts.
            return JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new BambaFormatException(path, $"is damaged, expected JSON: {e.Message}", e);
        }
    }

    /// <summary>The text of a JSON string.</summary>
    /// <exception cref="BambaFormatException">It is not valid Unicode.</exception>
    public static string Text(string path, JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new BambaFormatException(path, $"is damaged, expected valid text: {e.Message}", e);
        }
    }

    /// <summary>A value as messages show it, cut where it is long.</summary>
    public static string Describe(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array when value.GetArrayLength() > MaxDescription / 3 =>
                $"a list of {value.GetArrayLength()}",
            _ => Cut(value.GetRawText()),
        };

    private static string Cut(string text) =>
        text.Length <= MaxDescription ? text : string.Concat(text.AsSpan(0, MaxDescription - 3), "...");
}
