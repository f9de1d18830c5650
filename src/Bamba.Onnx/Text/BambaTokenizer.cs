using System.Buffers;
using System.Text;

namespace Bamba.Onnx.Text;

/// <summary>
/// The tokenizer of a model folder: text to token ids and back, as Hugging Face's <c>tokenizers</c> does for byte-level BPE.
/// Immutable and safe to use from several threads at once.
/// </summary>
/// <remarks>
/// Two things are this library's own. An added token decodes to its text even where that text happens to look like spelled
/// bytes. And <c>clean_up_tokenization_spaces</c> is not applied to decoded text: it would remove spaces that the tokens have.
/// </remarks>
public sealed class BambaTokenizer
{
    private readonly PreTokenizer preTokenizer;
    private readonly BpeModel model;
    private readonly Dictionary<string, AddedToken> addedTokens;
    private readonly AddedTokenMatcher[] matchers;
    private readonly AddedTokenMatcher[] literalMatchers;
    private readonly TokenTemplate template;
    private readonly TokenBytes tokens;

    internal BambaTokenizer(
        PreTokenizer preTokenizer,
        BpeModel model,
        Dictionary<string, AddedToken> addedTokens,
        TokenTemplate template
    )
    {
        this.preTokenizer = preTokenizer;
        this.model = model;
        this.addedTokens = addedTokens;
        this.template = template;
        tokens = new TokenBytes(model.Vocabulary, addedTokens.Values);
        matchers = MatchersOf(addedTokens.Values);
        literalMatchers = MatchersOf(addedTokens.Values.Where(token => !token.Special));
    }

    /// <summary>
    /// One more than the highest id of a token. The vocabulary of the model may be larger: rows that pad its matrices have no
    /// token.
    /// </summary>
    public int VocabSize => tokens.Count;

    /// <summary>The special tokens that the template puts before a text.</summary>
    internal IReadOnlyList<int> Prefix => template.Before;

    /// <summary>Reads the tokenizer of a model folder.</summary>
    /// <param name="folder">A folder with <c>tokenizer.json</c>.</param>
    /// <exception cref="Contract.BambaFormatException">
    /// The file is missing, damaged, or asks for something other than byte-level BPE behind <c>Split</c> patterns. The message
    /// names the file and the key.
    /// </exception>
    public static BambaTokenizer Load(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        return TokenizerReader.Read(folder);
    }

    /// <summary>The id of an added token's text or of a token as the vocabulary spells it ("Ġthe" for " the"); null without one.</summary>
    public int? TokenId(string token)
    {
        ArgumentNullException.ThrowIfNull(token);
        if (addedTokens.TryGetValue(token, out AddedToken? added))
        {
            return added.Id;
        }
        return model.Vocabulary.TryGetValue(token, out int id) ? id : null;
    }

    /// <summary>Whether the id is of a token that steers the model instead of being text. False for ids without a token.</summary>
    public bool IsSpecial(int id) => tokens.IsSpecial(id);

    /// <summary>The tokens of a text. Added tokens written out in the text are recognized, special ones too.</summary>
    /// <param name="text">Any text; a surrogate without its other half counts as U+FFFD.</param>
    /// <param name="addSpecialTokens">Whether to add the special tokens that the template puts around a text.</param>
    /// <exception cref="System.Text.RegularExpressions.RegexMatchTimeoutException">
    /// The tokenizer's own pattern takes more than 20 seconds to match a word of the text.
    /// </exception>
    public int[] Encode(string text, bool addSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(text);
        List<int> ids = addSpecialTokens ? [.. template.Before] : [];
        Encode(text, matchers, ids);
        if (addSpecialTokens)
        {
            ids.AddRange(template.After);
        }
        return [.. ids];
    }

    /// <summary>
    /// The tokens of a text that is nothing but text: where a special token is written out in it, it is spelled like any other
    /// word, so that what a stranger typed cannot steer the model. Hugging Face's <c>split_special_tokens</c>.
    /// </summary>
    /// <param name="text">Any text; a surrogate without its other half counts as U+FFFD.</param>
    /// <exception cref="System.Text.RegularExpressions.RegexMatchTimeoutException">
    /// The tokenizer's own pattern takes more than 20 seconds to match a word of the text.
    /// </exception>
    public int[] EncodeLiteral(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var ids = new List<int>();
        Encode(text, literalMatchers, ids);
        return [.. ids];
    }

    /// <summary>The text of tokens. Bytes that are not UTF-8 become U+FFFD, one for each broken character.</summary>
    /// <param name="ids">Token ids; one that no token has, as a model's padded rows may yield, adds no text.</param>
    /// <param name="skipSpecialTokens">Whether special tokens add no text either.</param>
    /// <exception cref="ArgumentOutOfRangeException">An id is negative.</exception>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true)
    {
        var bytes = new ArrayBufferWriter<byte>(Math.Max(1, ids.Length * 4));
        foreach (int id in ids)
        {
            bytes.Write(tokens.Get(id, skipSpecialTokens));
        }
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    /// <summary>A decoder for one sequence of tokens that arrive one by one.</summary>
    /// <param name="skipSpecialTokens">Whether special tokens add no text.</param>
    public StreamingTextDecoder CreateStreamingDecoder(bool skipSpecialTokens = true) => new(tokens, skipSpecialTokens);

    private void Encode(string text, AddedTokenMatcher[] recognized, List<int> ids)
    {
        text = WellFormed(text);
        foreach (TextPart part in SplitAtAddedTokens(text, recognized))
        {
            if (part.TokenId is { } id)
            {
                ids.Add(id);
                continue;
            }
            foreach (ReadOnlyMemory<char> word in preTokenizer.Split(text.AsMemory(part.Start, part.Length)))
            {
                model.Encode(word.Span, ids);
            }
        }
    }

    /// <summary>Normalized tokens are looked for in what the others left: without a normalizer that is all that tells them apart.</summary>
    private static AddedTokenMatcher[] MatchersOf(IEnumerable<AddedToken> tokens) =>
        [
            .. tokens
                .GroupBy(token => token.Normalized)
                .OrderBy(group => group.Key)
                .Select(group => new AddedTokenMatcher(group)),
        ];

    private static List<TextPart> SplitAtAddedTokens(string text, AddedTokenMatcher[] recognized)
    {
        List<TextPart> parts = [new TextPart(0, text.Length)];
        foreach (AddedTokenMatcher matcher in recognized)
        {
            var next = new List<TextPart>();
            foreach (TextPart part in parts)
            {
                if (part.TokenId is null)
                {
                    matcher.Split(text, part, next);
                }
                else
                {
                    next.Add(part);
                }
            }
            parts = next;
        }
        return parts;
    }

    /// <summary>The text with every surrogate that lacks its other half replaced, as UTF-8 would.</summary>
    private static string WellFormed(string text)
    {
        char[]? copy = null;
        for (int i = 0; i < text.Length; i++)
        {
            if (!char.IsSurrogate(text[i]))
            {
                continue;
            }
            if (i + 1 < text.Length && char.IsSurrogatePair(text[i], text[i + 1]))
            {
                i++;
                continue;
            }
            copy ??= text.ToCharArray();
            copy[i] = (char)Rune.ReplacementChar.Value;
        }
        return copy is null ? text : new string(copy);
    }
}
