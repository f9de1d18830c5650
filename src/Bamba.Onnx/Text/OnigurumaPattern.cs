using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Bamba.Onnx.Text;

/// <summary>
/// Translates a regular expression of <c>tokenizer.json</c>, which Hugging Face runs with Oniguruma (Ruby syntax), to .NET's
/// dialect. What the two engines understand alike is passed on, what they spell differently is rewritten, and everything
/// else is refused: a pattern that means something else here would change tokens silently.
/// </summary>
internal sealed class OnigurumaPattern
{
    private static readonly HashSet<string> Categories =
    [
        "L",
        "Lu",
        "Ll",
        "Lt",
        "Lm",
        "Lo",
        "M",
        "Mn",
        "Mc",
        "Me",
        "N",
        "Nd",
        "Nl",
        "No",
        "P",
        "Pc",
        "Pd",
        "Ps",
        "Pe",
        "Pi",
        "Pf",
        "Po",
        "S",
        "Sm",
        "Sc",
        "Sk",
        "So",
        "Z",
        "Zs",
        "Zl",
        "Zp",
        "C",
        "Cc",
        "Cf",
        "Co",
        "Cn",
    ];

    /// <summary>Pairs of letters that one character folds to (ß is "ss"); Oniguruma matches that character, .NET does not.</summary>
    private static readonly string[] FoldedPairs = ["ss", "st", "ff", "fi", "fl"];

    private readonly string source;
    private readonly StringBuilder output = new();
    private readonly List<(char First, char Last)> named = [];
    private readonly Stack<bool> outerCase = new();
    private bool ignoreCase;
    private char previousFolded;
    private int position;

    private OnigurumaPattern(string source)
    {
        this.source = source;
    }

    /// <summary>The pattern in .NET's dialect.</summary>
    public string Translation => output.ToString();

    /// <summary>Whether the pattern names the character itself, alone or in a range, rather than by a category.</summary>
    public bool Names(char c) => named.Exists(range => range.First <= c && c <= range.Last);

    /// <exception cref="FormatException">The pattern is damaged, or uses something on which the two engines differ.</exception>
    public static OnigurumaPattern Parse(string source)
    {
        var pattern = new OnigurumaPattern(source);
        pattern.Translate();
        return pattern;
    }

    /// <summary>The pattern that matches a text and nothing else.</summary>
    /// <exception cref="FormatException">The text has characters beyond U+FFFF.</exception>
    public static OnigurumaPattern ForLiteral(string text)
    {
        var pattern = new OnigurumaPattern(text);
        while (pattern.position < text.Length)
        {
            pattern.Literal(pattern.TakeCharacter());
        }
        return pattern;
    }

    private void Translate()
    {
        while (position < source.Length)
        {
            char c = source[position];
            switch (c)
            {
                case '(':
                    OpenGroup();
                    break;
                case ')':
                    CloseGroup();
                    break;
                case '[':
                    CharacterClass();
                    break;
                case '\\':
                    Escape(inClass: false);
                    break;
                case '|':
                    Pass(1);
                    break;
                case '.':
                    Name('\n', '\n');
                    Emit("[^\\n]", consumed: 1);
                    break;
                case '^' or '$' or '?' or '*' or '+' or '{':
                    throw Refuse($"'{c}' in this place");
                default:
                    Literal(TakeCharacter());
                    break;
            }
            if (c is not ('(' or '|'))
            {
                Quantifier();
            }
        }
        if (outerCase.Count > 0)
        {
            throw new FormatException("a group is not closed");
        }
    }

    private void OpenGroup()
    {
        string[] known = ["(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"];
        string rest = source[position..];
        string? opening = Array.Find(known, start => rest.StartsWith(start, StringComparison.Ordinal));
        outerCase.Push(ignoreCase);
        if (opening is null)
        {
            if (rest.StartsWith("(?", StringComparison.Ordinal))
            {
                throw Refuse("this kind of group");
            }
            Emit("(?:", consumed: 1);
            return;
        }
        bool folding = opening == "(?i:";
        ignoreCase |= folding;
        Emit(folding ? "(?:" : opening, opening.Length);
    }

    private void CloseGroup()
    {
        if (!outerCase.TryPop(out ignoreCase))
        {
            throw new FormatException($"')' at {position} closes nothing");
        }
        Pass(1);
    }

    private void CharacterClass()
    {
        Pass(1);
        if (Peek() == '^')
        {
            Pass(1);
        }
        int start = position;
        while (Peek() != ']' || position == start)
        {
            char c = Peek() ?? throw new FormatException("a character class is not closed");
            if (c is '[' or ']' || source.AsSpan(position).StartsWith("&&"))
            {
                throw Refuse($"'{c}' inside a character class");
            }
            ClassMember();
        }
        Pass(1);
        previousFolded = '\0';
    }

    private void ClassMember()
    {
        if (Peek() == '\\' && Escape(inClass: true))
        {
            return;
        }
        char first = TakeMember();
        char last = first;
        if (Peek() == '-' && position + 1 < source.Length && source[position + 1] != ']')
        {
            position++;
            last = TakeMember();
        }
        if (last < first)
        {
            throw new FormatException($"the range before {position} runs backwards");
        }
        Name(first, last);
        output.Append(Spell(first)).Append('-').Append(Spell(last));
        if (ignoreCase)
        {
            AppendOtherCases(first, last);
        }
    }

    private char TakeMember() => Peek() == '\\' ? TakeEscapedCharacter() : TakeCharacter();

    private void AppendOtherCases(char first, char last)
    {
        if (last > '\x7F')
        {
            throw Refuse("a character beyond ASCII under (?i:");
        }
        for (char c = first; c <= last; c++)
        {
            output.Append(OtherCases(c));
        }
    }

    /// <summary>Passes on an escape that stands for a set. False, with nothing consumed, where it stands for a character in a class.</summary>
    private bool Escape(bool inClass)
    {
        char kind = position + 1 < source.Length ? source[position + 1] : throw new FormatException("ends with '\\'");
        switch (kind)
        {
            case 's' or 'S' or 'd' or 'D':
                previousFolded = '\0';
                Pass(2);
                return true;
            case 'p' or 'P':
                Category(negated: kind == 'P');
                return true;
            default:
                if (!inClass)
                {
                    Literal(TakeEscapedCharacter());
                }
                return false;
        }
    }

    private void Category(bool negated)
    {
        int end = source.IndexOf('}', position);
        if (end < 0 || position + 2 >= source.Length || source[position + 2] != '{')
        {
            throw new FormatException($"\\p at {position} needs a name in braces");
        }
        string name = source[(position + 3)..end];
        if (name.StartsWith('^'))
        {
            negated = !negated;
            name = name[1..];
        }
        if (!Categories.Contains(name))
        {
            throw Refuse($"\\p{{{name}}}");
        }
        if (ignoreCase)
        {
            throw Refuse("a category under (?i:");
        }
        Emit($"\\{(negated ? 'P' : 'p')}{{{name}}}", consumed: end + 1 - position);
    }

    private char TakeEscapedCharacter()
    {
        char kind = position + 1 < source.Length ? source[position + 1] : throw new FormatException("ends with '\\'");
        char? character = kind switch
        {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'f' => '\f',
            'v' => '\v',
            'u' => null,
            _ => char.IsAscii(kind) && !char.IsAsciiLetterOrDigit(kind) ? kind : throw Refuse($"\\{kind}"),
        };
        position += 2;
        return character ?? TakeHexadecimal();
    }

    private char TakeHexadecimal()
    {
        const int digits = 4;
        bool valid = ushort.TryParse(
            source.AsSpan(position, Math.Min(digits, source.Length - position)),
            NumberStyles.AllowHexSpecifier,
            CultureInfo.InvariantCulture,
            out ushort value
        );
        if (!valid || position + digits > source.Length || char.IsSurrogate((char)value))
        {
            throw new FormatException($"\\u at {position - 2} needs four hexadecimal digits of a character");
        }
        position += digits;
        return (char)value;
    }

    private char TakeCharacter()
    {
        char c = source[position];
        if (char.IsSurrogate(c))
        {
            throw Refuse("a character beyond U+FFFF");
        }
        position++;
        return c;
    }

    private void Literal(char c)
    {
        Name(c, c);
        if (!ignoreCase)
        {
            output.Append(Spell(c));
            return;
        }
        if (c > '\x7F')
        {
            throw Refuse("a character beyond ASCII under (?i:");
        }
        char folded = char.ToLowerInvariant(c);
        if (Array.Exists(FoldedPairs, pair => pair[0] == previousFolded && pair[1] == folded))
        {
            throw Refuse($"\"{previousFolded}{folded}\" under (?i:, which one character folds to");
        }
        previousFolded = folded;
        output.Append('[').Append(Spell(c)).Append(OtherCases(c)).Append(']');
    }

    /// <summary>What Unicode's simple case folding makes equal to an ASCII letter: the other case, and for two letters a third character.</summary>
    private string OtherCases(char c)
    {
        if (!char.IsAsciiLetter(c))
        {
            return "";
        }
        char other = (char)(c ^ 0x20);
        char? third = char.ToLowerInvariant(c) switch
        {
            's' => '\u017F', // ſ
            'k' => '\u212A', // the Kelvin sign
            _ => null,
        };
        Name(other, other);
        if (third is { } extra)
        {
            Name(extra, extra);
        }
        return $"{other}{third}";
    }

    private void Quantifier()
    {
        int length = QuantifierLength(out string translation, out bool exact);
        if (length == 0)
        {
            return;
        }
        previousFolded = '\0';
        Emit(translation, length);
        if (Peek() == '?' && !exact)
        {
            Pass(1);
        }
        if (QuantifierLength(out _, out _) > 0)
        {
            throw Refuse("a quantifier on a quantifier");
        }
    }

    private int QuantifierLength(out string translation, out bool exact)
    {
        Match match = Regex.Match(source[position..], @"\A(?:[?*+]|\{(?<low>[0-9]*)(?<comma>,?)(?<high>[0-9]*)\})");
        translation = match.Value;
        exact = match.Value.StartsWith('{') && match.Groups["comma"].Length == 0;
        if (match.Value.StartsWith("{,", StringComparison.Ordinal))
        {
            // .NET would read {,n} as plain text.
            translation = string.Concat("{0", match.Value.AsSpan(1));
        }
        return match.Value is "{}" or "{,}" ? 0 : match.Length;
    }

    private char? Peek() => position < source.Length ? source[position] : null;

    private void Pass(int count) => Emit(source.Substring(position, count), count);

    private void Emit(string text, int consumed)
    {
        // A group's border does not keep two letters apart; whatever else is passed on does.
        previousFolded = text is "(?:" or ")" ? previousFolded : '\0';
        output.Append(text);
        position += consumed;
    }

    private void Name(char first, char last) => named.Add((first, last));

    private static string Spell(char c) => char.IsAsciiLetterOrDigit(c) ? c.ToString() : $"\\u{(int)c:X4}";

    private FormatException Refuse(string what) =>
        new($"{what} (at {Math.Min(position, source.Length)}) is not supported in \"{source}\"");
}
