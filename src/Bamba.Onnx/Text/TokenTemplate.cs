using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Text;

/// <summary>The special tokens around an encoded text: <c>post_processor</c> for a single sequence.</summary>
/// <param name="Before">Ids before the text.</param>
/// <param name="After">Ids behind the text.</param>
internal sealed record TokenTemplate(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    /// <summary>Reads the post-processor; without one, nothing surrounds a text.</summary>
    /// <param name="json">The value, or null where there is none.</param>
    /// <param name="hasToken">Whether an id has a token.</param>
    /// <exception cref="BambaFormatException">It is damaged or of a kind that is not supported.</exception>
    public static TokenTemplate Read(JsonAt? json, Func<int, bool> hasToken)
    {
        TokenTemplate? template = null;
        foreach (JsonAt processor in json is { } value ? Flatten(value) : [])
        {
            JsonAt type = processor.Get("type");
            switch (type.Text())
            {
                case "ByteLevel":
                    // Moves offsets only, and this tokenizer gives none.
                    break;
                case "TemplateProcessing" when template is null:
                    template = ReadSingle(processor, hasToken);
                    break;
                case "TemplateProcessing":
                    throw processor.Error("a second template is not supported");
                default:
                    throw type.Expected("TemplateProcessing, ByteLevel or Sequence");
            }
        }
        return template ?? new TokenTemplate([], []);
    }

    private static IEnumerable<JsonAt> Flatten(JsonAt json) =>
        json.Get("type").Text() == "Sequence" ? json.Get("processors").Items().SelectMany(Flatten) : [json];

    private static TokenTemplate ReadSingle(JsonAt json, Func<int, bool> hasToken)
    {
        var before = new List<int>();
        var after = new List<int>();
        bool textSeen = false;
        JsonAt single = json.Get("single");
        foreach (JsonAt piece in single.Items())
        {
            if (piece.Find("SpecialToken") is { } special)
            {
                (textSeen ? after : before).AddRange(ReadIds(json, special.Get("id"), hasToken));
                continue;
            }
            JsonAt sequence = piece.Find("Sequence") ?? throw piece.Expected("a SpecialToken or a Sequence");
            if (textSeen || sequence.Get("id").Text() != "A")
            {
                throw sequence.Expected("the sequence A, once");
            }
            textSeen = true;
        }
        return textSeen ? new TokenTemplate(before, after) : throw single.Expected("a place for the sequence A");
    }

    private static IEnumerable<int> ReadIds(JsonAt json, JsonAt name, Func<int, bool> hasToken)
    {
        foreach (JsonAt id in json.Get("special_tokens").Get(name.Text()).Get("ids").Items())
        {
            yield return hasToken(id.Int()) ? id.Int() : throw id.Expected("the id of a token");
        }
    }
}
