using System.Text;

namespace Bamba.Onnx.Text;

/// <summary>
/// Writes a pattern for .NET and remembers which characters it names. Letters under <c>(?i:</c> are written with all that
/// Oniguruma takes for the same letter, so that .NET's own, narrower idea of it is never asked.
/// </summary>
internal sealed class OnigurumaWriter
{
    /// <summary>Pairs of letters that one character folds to (ß is "ss"), which Oniguruma matches in their place.</summary>
    private static readonly string[] FoldedPairs = ["ss", "st", "ff", "fi", "fl"];

    private readonly StringBuilder output = new();
    private readonly List<(char First, char Last)> named = [];
    private char previousFolded;

    public bool Names(char c) => named.Exists(range => range.First <= c && c <= range.Last);

    /// <summary>Writes what stands for itself in both dialects.</summary>
    public void Syntax(string text)
    {
        // A group's border does not keep two letters apart; everything else does.
        previousFolded = text is "(?:" or ")" ? previousFolded : '\0';
        output.Append(text);
    }

    /// <summary>Writes a character outside a class.</summary>
    /// <exception cref="FormatException">Case is ignored, and what that means for the character differs between engines.</exception>
    public void Character(char c, bool ignoreCase)
    {
        if (!ignoreCase)
        {
            Name(c, c);
            output.Append(Spell(c));
            return;
        }
        char folded = char.ToLowerInvariant(c);
        if (Array.Exists(FoldedPairs, pair => pair[0] == previousFolded && pair[1] == folded))
        {
            throw new FormatException(
                $"\"{previousFolded}{folded}\" under (?i: is not supported: one character folds to both letters"
            );
        }
        output.Append('[');
        ClassRange(c, c, ignoreCase);
        output.Append(']');
        previousFolded = folded;
    }

    /// <summary>Writes every character but one.</summary>
    public void AllBut(char c)
    {
        Syntax("[^");
        ClassRange(c, c, ignoreCase: false);
        Syntax("]");
    }

    /// <summary>Writes a range inside a class.</summary>
    /// <exception cref="FormatException">Case is ignored for characters beyond ASCII.</exception>
    public void ClassRange(char first, char last, bool ignoreCase)
    {
        Name(first, last);
        output.Append(Spell(first)).Append('-').Append(Spell(last));
        if (!ignoreCase)
        {
            return;
        }
        if (!char.IsAscii(last))
        {
            throw new FormatException("a character beyond ASCII under (?i: is not supported");
        }
        for (char c = first; c <= last; c++)
        {
            foreach (char other in OtherCases(c))
            {
                Name(other, other);
                output.Append(Spell(other));
            }
        }
    }

    public override string ToString() => output.ToString();

    /// <summary>What simple case folding makes equal to an ASCII character: the other case, and for two letters a third character.</summary>
    private static string OtherCases(char c)
    {
        const char longS = '\u017F';
        const char kelvinSign = '\u212A';
        return c switch
        {
            's' or 'S' => $"{(char)(c ^ 0x20)}{longS}",
            'k' or 'K' => $"{(char)(c ^ 0x20)}{kelvinSign}",
            _ when char.IsAsciiLetter(c) => $"{(char)(c ^ 0x20)}",
            _ => "",
        };
    }

    private void Name(char first, char last) => named.Add((first, last));

    private static string Spell(char c) => char.IsAsciiLetterOrDigit(c) ? c.ToString() : $"\\u{(int)c:X4}";
}
