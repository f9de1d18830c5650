using System.Buffers;
using System.Globalization;
using System.Text;

namespace Bamba.Onnx.Text;

/// <summary>Finds added tokens in text: leftmost first, of those that start together the longest, none overlapping another.</summary>
internal sealed class AddedTokenMatcher
{
    private readonly AddedToken[] longestFirst;
    private readonly SearchValues<string> starts;

    public AddedTokenMatcher(IEnumerable<AddedToken> tokens)
    {
        longestFirst = [.. tokens.OrderByDescending(token => token.Content.Length)];
        starts = SearchValues.Create([.. longestFirst.Select(token => token.Content)], StringComparison.Ordinal);
    }

    /// <summary>Appends the parts of a stretch of text, in order: added tokens, and what lies between them.</summary>
    /// <param name="text">The whole text, well-formed.</param>
    /// <param name="stretch">The part of it that is searched as if it were alone.</param>
    /// <param name="parts">Receives the parts.</param>
    public void Split(string text, TextPart stretch, List<TextPart> parts)
    {
        ReadOnlySpan<char> alone = text.AsSpan(stretch.Start, stretch.Length);
        int taken = 0;
        for (int from = 0, found; from < alone.Length; )
        {
            found = alone[from..].IndexOfAny(starts);
            if (found < 0)
            {
                break;
            }
            int start = from + found;
            AddedToken token = LongestAt(alone[start..]);
            from = start + token.Content.Length;
            if (token.SingleWord && TouchesWord(alone, start, from))
            {
                continue;
            }
            // White space that an earlier token has swallowed stays with that token.
            int left = token.StripsLeft ? Math.Max(taken, alone[..start].TrimEnd().Length) : start;
            int right = token.StripsRight ? alone.Length - alone[from..].TrimStart().Length : from;
            if (left > taken)
            {
                parts.Add(new TextPart(stretch.Start + taken, left - taken));
            }
            parts.Add(new TextPart(stretch.Start + left, right - left, token.Id));
            taken = right;
        }
        if (taken < alone.Length)
        {
            parts.Add(new TextPart(stretch.Start + taken, alone.Length - taken));
        }
    }

    private AddedToken LongestAt(ReadOnlySpan<char> text)
    {
        foreach (AddedToken token in longestFirst)
        {
            if (text.StartsWith(token.Content))
            {
                return token;
            }
        }
        throw new InvalidOperationException("A token was found where none starts.");
    }

    private static bool TouchesWord(ReadOnlySpan<char> text, int start, int end)
    {
        Rune.DecodeLastFromUtf16(text[..start], out Rune before, out int lengthBefore);
        Rune.DecodeFromUtf16(text[end..], out Rune after, out int lengthAfter);
        return (lengthBefore > 0 && IsWordCharacter(before)) || (lengthAfter > 0 && IsWordCharacter(after));
    }

    /// <summary>Unicode's definition (UTS 18, annex C): alphabetic, mark, decimal digit, connector or join control.</summary>
    private static bool IsWordCharacter(Rune rune) =>
        Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.LetterNumber => true,
            UnicodeCategory.ConnectorPunctuation => true,
            // Circled and squared letters are symbols, but alphabetic.
            UnicodeCategory.OtherSymbol => rune.Value
                is (>= 0x24B6 and <= 0x24E9)
                    or (>= 0x1F130 and <= 0x1F149)
                    or (>= 0x1F150 and <= 0x1F169)
                    or (>= 0x1F170 and <= 0x1F189),
            UnicodeCategory.Format => rune.Value is 0x200C or 0x200D,
            _ => false,
        };
}

/// <summary>A part of a text.</summary>
/// <param name="Start">Its first UTF-16 unit.</param>
/// <param name="Length">UTF-16 units.</param>
/// <param name="TokenId">The added token that it is, or null where it is text.</param>
internal readonly record struct TextPart(int Start, int Length, int? TokenId = null);
