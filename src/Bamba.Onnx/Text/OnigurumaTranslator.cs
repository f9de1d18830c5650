using System.Globalization;
using System.Text.RegularExpressions;

namespace Bamba.Onnx.Text;

/// <summary>Reads Oniguruma's dialect and writes .NET's, in one pass; see <see cref="OnigurumaPattern"/>.</summary>
internal sealed class OnigurumaTranslator(string source, OnigurumaWriter writer)
{
    private static readonly string[] Categories =
        "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co Cn".Split(
            ' '
        );

    private readonly Stack<bool> outerCase = new();
    private bool ignoreCase;
    private int position;

    /// <summary>Writes the whole source as text that stands for itself.</summary>
    /// <exception cref="FormatException">The text has characters beyond U+FFFF.</exception>
    public void TakeLiterally()
    {
        while (position < source.Length)
        {
            writer.Character(TakeCharacter(), ignoreCase);
        }
    }

    /// <exception cref="FormatException">The pattern is damaged, or uses something on which the two engines differ.</exception>
    public void Translate()
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
                    position++;
                    writer.AllBut('\n');
                    break;
                case '^' or '$' or '?' or '*' or '+' or '{':
                    throw Refuse($"'{c}' in this place");
                default:
                    writer.Character(TakeCharacter(), ignoreCase);
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
            Replace(1, "(?:");
            return;
        }
        bool folding = opening == "(?i:";
        ignoreCase |= folding;
        Replace(opening.Length, folding ? "(?:" : opening);
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
        writer.ClassRange(first, last, ignoreCase);
    }

    private char TakeMember() => Peek() == '\\' ? TakeEscapedCharacter() : TakeCharacter();

    /// <summary>Passes on an escape that stands for a set. False, with nothing consumed, where it stands for a character in a class.</summary>
    private bool Escape(bool inClass)
    {
        char kind = position + 1 < source.Length ? source[position + 1] : throw new FormatException("ends with '\\'");
        switch (kind)
        {
            case 's' or 'S' or 'd' or 'D':
                Pass(2);
                return true;
            case 'p' or 'P':
                Category(negated: kind == 'P');
                return true;
            default:
                if (!inClass)
                {
                    writer.Character(TakeEscapedCharacter(), ignoreCase);
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
        Replace(end + 1 - position, $"\\{(negated ? 'P' : 'p')}{{{name}}}");
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

    private void Quantifier()
    {
        int length = QuantifierLength(out string translation, out bool exact);
        if (length == 0)
        {
            return;
        }
        Replace(length, translation);
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

    private void Pass(int count) => Replace(count, source.Substring(position, count));

    private void Replace(int count, string syntax)
    {
        writer.Syntax(syntax);
        position += count;
    }

    private FormatException Refuse(string what) =>
        new($"{what} (at {Math.Min(position, source.Length)}) is not supported in \"{source}\"");
}
