using System.Text;

namespace Bamba.Onnx.Tests.Text;

/// <summary>Text in which every kind of character that a pre-tokenizer tells apart meets every other.</summary>
internal static class RandomText
{
    /// <summary>
    /// Letters, digits and symbols below and beyond U+FFFF, contractions with their odd cases, all sorts of white space, marks,
    /// joiners, private, unassigned and control characters.
    /// </summary>
    private static readonly string[] Pieces =
    [
        .. "abstdmSTKé漢字ßſ\u212A'’0123४Ⅷ½ \t\r\n\u0085\u00A0\u2003\u2028\u3000.,!?_-+<|>€"
            .EnumerateRunes()
            .Select(rune => rune.ToString()),
        "'s",
        "'S",
        "'ſ",
        "'re",
        "'VE",
        "'ll",
        "'t",
        "  ",
        "\n\n",
        "\r\n",
        "𝔘",
        "𝒶",
        "𐐀",
        "𐐨",
        "𠀀",
        "𝟘",
        "𝟡",
        "𐄇",
        "😀",
        "𝄞",
        "👩\u200D👧",
        "\U000E0100",
        "\U000F0000",
        "\U0001FFFF",
        "\u0301",
        "\u200D",
        "\uE000",
        "\u0378",
        "\0",
        "\u001C",
        "\uFEFF",
        "\uFFFD",
    ];

    public static string Create(Random random, int pieces)
    {
        var text = new StringBuilder();
        for (int i = 0; i < pieces; i++)
        {
            text.Append(Pieces[random.Next(Pieces.Length)]);
        }
        return text.ToString();
    }
}
