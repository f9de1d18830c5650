using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Text;

/// <summary>A token beside the BPE vocabulary, found in text before anything else looks at it.</summary>
internal sealed record AddedToken
{
    /// <summary>Its id.</summary>
    public required int Id { get; init; }

    /// <summary>Its text, which is what it matches and what it decodes to.</summary>
    public required string Content { get; init; }

    /// <summary>Whether it matches only where no word character touches it.</summary>
    public required bool SingleWord { get; init; }

    /// <summary>Whether it swallows white space before it.</summary>
    public required bool StripsLeft { get; init; }

    /// <summary>Whether it swallows white space behind it.</summary>
    public required bool StripsRight { get; init; }

    /// <summary>Whether it is looked for after the tokens that are not, in what they left.</summary>
    public required bool Normalized { get; init; }

    /// <summary>Whether it steers the model instead of being text.</summary>
    public required bool Special { get; init; }

    /// <summary>Reads one entry of <c>added_tokens</c>.</summary>
    /// <exception cref="BambaFormatException">The entry is damaged.</exception>
    public static AddedToken Read(JsonAt json)
    {
        var token = new AddedToken
        {
            Id = json.Get("id").Int(),
            Content = json.Get("content").Text(),
            SingleWord = json.Get("single_word").Bool(),
            StripsLeft = json.Get("lstrip").Bool(),
            StripsRight = json.Get("rstrip").Bool(),
            Normalized = json.Get("normalized").Bool(),
            Special = json.Get("special").Bool(),
        };
        if (token.Id is < 0 or > BpeReader.HighestId)
        {
            throw json.Get("id").Expected($"an id from 0 to {BpeReader.HighestId}");
        }
        return token.Content.Length > 0 ? token : throw json.Get("content").Expected("a text");
    }
}
