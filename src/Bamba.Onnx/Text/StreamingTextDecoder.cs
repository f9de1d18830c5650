using System.Text;

namespace Bamba.Onnx.Text;

/// <summary>
/// Turns the tokens of one sequence into text as they come. A character whose bytes are spread over tokens is held back until
/// it is whole; all that is given out, with <see cref="Flush"/> at the end, is exactly what
/// <see cref="BambaTokenizer.Decode"/> gives for the whole sequence. Not for several threads at once.
/// </summary>
public sealed class StreamingTextDecoder
{
    private readonly TokenBytes tokens;
    private readonly bool skipSpecialTokens;
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private readonly char[] text;

    internal StreamingTextDecoder(TokenBytes tokens, bool skipSpecialTokens)
    {
        this.tokens = tokens;
        this.skipSpecialTokens = skipSpecialTokens;
        text = new char[Encoding.UTF8.GetMaxCharCount(tokens.Longest)];
    }

    /// <summary>Takes the next token.</summary>
    /// <param name="id">Its id; one that no token has adds no text.</param>
    /// <returns>The characters that became whole, often none. Valid until the next call.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="id"/> is negative.</exception>
    public ReadOnlySpan<char> Append(int id)
    {
        int count = decoder.GetChars(tokens.Get(id, skipSpecialTokens), text, flush: false);
        return text.AsSpan(0, count);
    }

    /// <summary>Ends the sequence; the decoder is then as new.</summary>
    /// <returns>U+FFFD if the sequence ended inside a character, else nothing. Valid until the next call.</returns>
    public ReadOnlySpan<char> Flush()
    {
        int count = decoder.GetChars([], text, flush: true);
        return text.AsSpan(0, count);
    }
}
