using System.Buffers;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Bamba.Onnx.Text;

/// <summary>
/// A regular expression over Unicode scalars. .NET matches UTF-16 units, to which an astral letter is two surrogates and no
/// letter. So text with such characters is matched through its shadow: one unit for each scalar, in which a character beyond
/// U+FFFF is played by one below it of the same general category. <see cref="OnigurumaPattern"/> lets patterns tell
/// characters apart only by category or by name, and no stand-in is named, so the pattern cannot see the difference.
/// </summary>
internal sealed class ScalarRegex
{
    /// <summary>The patterns in use are linear; a model folder with one that is not must not hang its user.</summary>
    private static readonly TimeSpan MatchTimeout = TimeSpan.FromSeconds(20);

    private static readonly UnicodeCategory[] CategoriesWithoutAstralMembers =
    [
        UnicodeCategory.TitlecaseLetter,
        UnicodeCategory.SpaceSeparator,
        UnicodeCategory.LineSeparator,
        UnicodeCategory.ParagraphSeparator,
        UnicodeCategory.Control,
        UnicodeCategory.Surrogate,
    ];

    private readonly Regex regex;
    private readonly char[] standIns;

    /// <exception cref="FormatException">The pattern is no regular expression, or leaves no stand-in for a category.</exception>
    public ScalarRegex(OnigurumaPattern pattern)
    {
        try
        {
            regex = new Regex(pattern.Translation, RegexOptions.CultureInvariant | RegexOptions.Compiled, MatchTimeout);
        }
        catch (ArgumentException e)
        {
            throw new FormatException(e.Message, e);
        }
        standIns = ChooseStandIns(pattern);
    }

    /// <summary>Cuts a text at the borders of every match and appends the pieces that are wanted, in order, none of them empty.</summary>
    /// <exception cref="RegexMatchTimeoutException">A single match takes longer than 20 seconds.</exception>
    public void Split(ReadOnlyMemory<char> text, bool keepMatches, bool keepGaps, List<ReadOnlyMemory<char>> pieces)
    {
        if (!text.Span.ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            Split(text, text.Span, keepMatches, keepGaps, pieces);
            return;
        }
        char[] shadow = ArrayPool<char>.Shared.Rent(text.Length);
        try
        {
            int scalars = CastShadow(text.Span, shadow);
            Split(text, shadow.AsSpan(0, scalars), keepMatches, keepGaps, pieces);
        }
        finally
        {
            ArrayPool<char>.Shared.Return(shadow);
        }
    }

    private void Split(
        ReadOnlyMemory<char> text,
        ReadOnlySpan<char> shadow,
        bool keepMatches,
        bool keepGaps,
        List<ReadOnlyMemory<char>> pieces
    )
    {
        int scalars = 0;
        int units = 0;
        foreach (ValueMatch match in regex.EnumerateMatches(shadow))
        {
            TakePiece(match.Index, keepGaps, shadow.Length);
            TakePiece(match.Index + match.Length, keepMatches, shadow.Length);
        }
        TakePiece(shadow.Length, keepGaps, shadow.Length);

        void TakePiece(int scalarEnd, bool wanted, int scalarCount)
        {
            int end = scalarCount == text.Length ? scalarEnd : AdvanceScalars(text.Span, units, scalarEnd - scalars);
            if (wanted && end > units)
            {
                pieces.Add(text[units..end]);
            }
            scalars = scalarEnd;
            units = end;
        }
    }

    private static int AdvanceScalars(ReadOnlySpan<char> text, int index, int count)
    {
        for (; count > 0; count--)
        {
            index += char.IsHighSurrogate(text[index]) ? 2 : 1;
        }
        return index;
    }

    /// <summary>Writes one unit for each scalar of a well-formed text and returns their number.</summary>
    private int CastShadow(ReadOnlySpan<char> text, Span<char> shadow)
    {
        int count = 0;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (char.IsHighSurrogate(c))
            {
                c = standIns[(int)CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(c, text[++i]))];
            }
            shadow[count++] = c;
        }
        return count;
    }

    private static char[] ChooseStandIns(OnigurumaPattern pattern)
    {
        var standIns = new char[(int)UnicodeCategory.OtherNotAssigned + 1];
        var missing = new HashSet<UnicodeCategory>(Enum.GetValues<UnicodeCategory>());
        missing.ExceptWith(CategoriesWithoutAstralMembers);
        for (int c = 0; c <= char.MaxValue && missing.Count > 0; c++)
        {
            UnicodeCategory category = CharUnicodeInfo.GetUnicodeCategory((char)c);
            if (missing.Contains(category) && !pattern.Names((char)c))
            {
                standIns[(int)category] = (char)c;
                missing.Remove(category);
            }
        }
        if (missing.Count > 0)
        {
            throw new FormatException($"the pattern names every character of {missing.First()} below U+10000");
        }
        return standIns;
    }
}
