namespace Bamba.Onnx.Text;

/// <summary>
/// The printable spelling of bytes in byte-level vocabularies: GPT-2's <c>bytes_to_unicode</c>. Bytes that are visible in
/// Latin-1 stand for themselves, the others are numbered from U+0100 in order.
/// </summary>
internal static class ByteAlphabet
{
    private const char FirstStandIn = '\u0100';

    private static readonly char[] Chars = CreateChars();
    private static readonly short[] Bytes = CreateBytes();

    public static char ToChar(byte value) => Chars[value];

    /// <summary>Whether the character spells a byte, and which.</summary>
    public static bool TryToByte(char c, out byte value)
    {
        int found = c < Bytes.Length ? Bytes[c] : -1;
        value = (byte)found;
        return found >= 0;
    }

    /// <summary>Spells bytes; <paramref name="destination"/> has room for as many characters.</summary>
    public static void Spell(ReadOnlySpan<byte> bytes, Span<char> destination)
    {
        for (int i = 0; i < bytes.Length; i++)
        {
            destination[i] = Chars[bytes[i]];
        }
    }

    private static char[] CreateChars()
    {
        var chars = new char[256];
        char standIn = FirstStandIn;
        for (int b = 0; b < chars.Length; b++)
        {
            bool visible = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            chars[b] = visible ? (char)b : standIn++;
        }
        return chars;
    }

    private static short[] CreateBytes()
    {
        var bytes = new short[Chars.Max() + 1];
        Array.Fill(bytes, (short)-1);
        for (int b = 0; b < Chars.Length; b++)
        {
            bytes[Chars[b]] = (short)b;
        }
        return bytes;
    }
}
