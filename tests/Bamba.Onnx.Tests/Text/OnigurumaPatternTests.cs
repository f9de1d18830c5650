using System.Text.RegularExpressions;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

public sealed class OnigurumaPatternTests
{
    [Theory]
    [InlineData("(?i:s)", "sSſ")]
    [InlineData("(?i:K)", "kK\u212A")]
    [InlineData("(?i:[r-t])", "rstRSTſ")]
    [InlineData("(?i:[^s])", "a", "sSſ")]
    [InlineData("[^\\r\\n]", "a \u2028", "\r\n")]
    [InlineData(".", "a\r\u2028", "\n")]
    [InlineData("\\p{^L}", "1", "aé")]
    [InlineData("\\P{L}", "1", "aé")]
    [InlineData("[\\p{Lu}\\p{Nd}-]", "A1-", "a.")]
    [InlineData("[a\\-z]", "a-z", "b")]
    [InlineData("\\u00e9", "é", "e")]
    [InlineData("\\s", " \t\n\v\f\r\u0085\u00A0\u1680\u2000\u2028\u2029\u202F\u205F\u3000", "\u001C\u180E\u200B\uFEFF")]
    [InlineData("#", "#", " ")]
    public void Characters_match_as_in_oniguruma(string pattern, string matching, string others = "")
    {
        var regex = new Regex($@"\A(?:{OnigurumaPattern.Parse(pattern).Translation})\z");

        Assert.All(matching, c => Assert.Matches(regex, c.ToString()));
        Assert.All(others, c => Assert.DoesNotMatch(regex, c.ToString()));
    }

    [Theory]
    [InlineData("a{,2}", "|a|aa", "aaa|a{,2}")]
    [InlineData("a{2}", "aa", "a|aaa")]
    [InlineData("a{2,}b*?", "aa|aaab", "a")]
    [InlineData("(a|b)+c", "abc|bc", "c")]
    [InlineData("(?>a*)(?<=a)b(?=c)c(?!d)", "aabc", "bc")]
    [InlineData("x(?i:y)Z", "xyZ|xYZ", "XyZ|xyz")]
    public void Repetition_and_groups_match_as_in_oniguruma(string pattern, string matching, string others)
    {
        var regex = new Regex($@"\A(?:{OnigurumaPattern.Parse(pattern).Translation})\z");

        Assert.All(matching.Split('|'), text => Assert.Matches(regex, text));
        Assert.All(others.Split('|'), text => Assert.DoesNotMatch(regex, text));
    }

    [Theory]
    [InlineData("\\w+", "\\w")]
    [InlineData("\\bx", "\\b")]
    [InlineData("\\h", "\\h")]
    [InlineData("(a)\\1", "\\1")]
    [InlineData("^a", "'^'")]
    [InlineData("a$", "'$'")]
    [InlineData("\\p{Han}", "\\p{Han}")]
    [InlineData("\\p{Alphabetic}", "\\p{Alphabetic}")]
    [InlineData("(?i:\\p{L})", "a category under (?i:")]
    [InlineData("(?i:é)", "beyond ASCII")]
    [InlineData("(?i:[à-é])", "beyond ASCII")]
    [InlineData("(?i:ss)", "\"ss\"")]
    [InlineData("(?i:f(?:l))", "\"fl\"")]
    [InlineData("(?i)a", "kind of group")]
    [InlineData("(?<name>a)", "kind of group")]
    [InlineData("a++", "quantifier on a quantifier")]
    [InlineData("a{2}?", "quantifier on a quantifier")]
    [InlineData("*a", "'*'")]
    [InlineData("a{x}", "'{'")]
    [InlineData("[a[b]]", "'[' inside a character class")]
    [InlineData("[a&&b]", "inside a character class")]
    [InlineData("[]", "']' inside a character class")]
    [InlineData("[a-\\s]", "\\s")]
    [InlineData("😀", "beyond U+FFFF")]
    [InlineData("[a", "not closed")]
    [InlineData("(a", "not closed")]
    [InlineData("a)", "closes nothing")]
    [InlineData("[z-a]", "backwards")]
    [InlineData("\\u12", "hexadecimal")]
    [InlineData("\\pL", "braces")]
    [InlineData("a\\", "ends with")]
    public void What_the_engines_read_differently_is_refused(string pattern, string reason)
    {
        var error = Assert.Throws<FormatException>(() => OnigurumaPattern.Parse(pattern));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        @"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s"
    )]
    [InlineData(
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s+"
    )]
    [InlineData("[一-龥\u3040-ゟ゠-ヿ]+")]
    [InlineData(@"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+")]
    public void Patterns_of_other_byte_level_models_are_understood(string pattern)
    {
        var regex = new ScalarRegex(OnigurumaPattern.Parse(pattern));
        List<ReadOnlyMemory<char>> pieces = [];

        regex.Split("They'll 漢字 😀 x1234\n".AsMemory(), keepMatches: true, keepGaps: true, pieces);

        Assert.Equal("They'll 漢字 😀 x1234\n", string.Concat(pieces));
    }

    [Fact]
    public void A_pattern_that_names_every_character_leaves_no_stand_in()
    {
        OnigurumaPattern pattern = OnigurumaPattern.Parse("[\\u0000-\\uD7FF\\uE000-\\uFFFF]");

        Assert.Contains(
            "names every",
            Assert.Throws<FormatException>(() => new ScalarRegex(pattern)).Message,
            StringComparison.Ordinal
        );
    }
}
