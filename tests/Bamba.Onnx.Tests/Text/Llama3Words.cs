using System.Globalization;
using System.Text;

namespace Bamba.Onnx.Tests.Text;

/// <summary>
/// Llama 3's pattern spelled out by hand over Unicode scalars: the slow twin of the regular expression and its shadow text.
/// </summary>
internal sealed class Llama3Words
{
    private static readonly string[] Contractions = ["s", "t", "re", "ve", "m", "ll", "d"];

    private readonly Rune[] text;

    private Llama3Words(string text)
    {
        this.text = [.. text.EnumerateRunes()];
    }

    public static List<string> Split(string text)
    {
        var words = new Llama3Words(text);
        var result = new List<string>();
        for (int start = 0, end; start < words.text.Length; start = end)
        {
            end = words.EndOfWord(start);
            result.Add(string.Concat(words.text[start..end]));
        }
        return result;
    }

    private int EndOfWord(int start)
    {
        int letters = IsOptionalLead(start) ? start + 1 : start;
        int symbols = Is(start, rune => rune.Value == ' ') ? start + 1 : start;
        return Contraction(start)
            ?? Run(letters, IsLetter)
            ?? Run(start, IsLetter)
            ?? Run(start, IsNumber, most: 3)
            ?? SymbolsAndLineBreaks(symbols)
            ?? Spaces(start);
    }

    private int? SymbolsAndLineBreaks(int start)
    {
        int? end = Run(start, IsSymbol);
        return end is { } i ? Run(i, IsNewline) ?? i : null;
    }

    private int? Contraction(int start)
    {
        if (!Is(start, rune => rune.Value == '\''))
        {
            return null;
        }
        foreach (string ending in Contractions)
        {
            bool matches = ending.Select((c, i) => Is(start + 1 + i, rune => Fold(rune) == c)).All(same => same);
            if (matches)
            {
                return start + 1 + ending.Length;
            }
        }
        return null;
    }

    /// <summary>White space up to its last line break; else all of it but one before a word; else all.</summary>
    private int Spaces(int start)
    {
        int end = Run(start, Rune.IsWhiteSpace)!.Value;
        int lastNewline = Array.FindLastIndex(text, end - 1, end - start, IsNewline);
        if (lastNewline >= 0)
        {
            return lastNewline + 1;
        }
        return end < text.Length && end - start > 1 ? end - 1 : end;
    }

    private int? Run(int start, Predicate<Rune> kind, int most = int.MaxValue)
    {
        int end = start;
        while (end - start < most && Is(end, kind))
        {
            end++;
        }
        return end > start ? end : null;
    }

    private bool IsOptionalLead(int i) => Is(i, rune => !IsNewline(rune) && !IsLetter(rune) && !IsNumber(rune));

    private bool Is(int i, Predicate<Rune> kind) => i < text.Length && kind(text[i]);

    private static bool IsLetter(Rune rune) => Rune.GetUnicodeCategory(rune) <= UnicodeCategory.OtherLetter;

    private static bool IsNumber(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is >= UnicodeCategory.DecimalDigitNumber and <= UnicodeCategory.OtherNumber;

    private static bool IsSymbol(Rune rune) => !Rune.IsWhiteSpace(rune) && !IsLetter(rune) && !IsNumber(rune);

    private static bool IsNewline(Rune rune) => rune.Value is '\r' or '\n';

    private static int Fold(Rune rune) => rune.Value == 'ſ' ? 's' : Rune.ToLowerInvariant(rune).Value;
}
