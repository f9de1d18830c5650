namespace Bamba.Onnx.Text;

/// <summary>
/// A regular expression of <c>tokenizer.json</c>, which Hugging Face runs with Oniguruma (Ruby syntax), in .NET's dialect.
/// What the two engines understand alike is passed on, what they spell differently is rewritten, and everything else is
/// refused: a pattern that means something else here would change tokens silently.
/// </summary>
internal sealed class OnigurumaPattern
{
    private readonly OnigurumaWriter writer = new();

    private OnigurumaPattern() { }

    /// <summary>The pattern in .NET's dialect.</summary>
    public string Translation => writer.ToString();

    /// <summary>Whether the pattern names the character itself, alone or in a range, rather than by a category.</summary>
    public bool Names(char c) => writer.Names(c);

    /// <exception cref="FormatException">The pattern is damaged, or uses something on which the two engines differ.</exception>
    public static OnigurumaPattern Parse(string source)
    {
        var pattern = new OnigurumaPattern();
        new OnigurumaTranslator(source, pattern.writer).Translate();
        return pattern;
    }

    /// <summary>The pattern that matches a text and nothing else.</summary>
    /// <exception cref="FormatException">The text has characters beyond U+FFFF.</exception>
    public static OnigurumaPattern ForLiteral(string text)
    {
        var pattern = new OnigurumaPattern();
        new OnigurumaTranslator(text, pattern.writer).TakeLiterally();
        return pattern;
    }
}
