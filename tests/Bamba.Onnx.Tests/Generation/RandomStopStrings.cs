using System.Text;
using Bamba.Onnx.Tests.Text;

namespace Bamba.Onnx.Tests.Generation;

/// <summary>Stop strings that are near to a text and to each other.</summary>
internal static class RandomStopStrings
{
    /// <summary>
    /// Parts of the text, some with something else at their end or beginning, and prefixes, suffixes and overlaps of those.
    /// </summary>
    public static string[] Create(Random random, string text)
    {
        var stops = new List<string>();
        for (int count = random.Next(1, 6); count > 0; count--)
        {
            Rune[] source = [.. (stops.Count > 0 && random.Next(3) == 0 ? stops[^1] : text).EnumerateRunes()];
            int start = random.Next(source.Length + 1);
            int length = random.Next(Math.Min(8, source.Length - start) + 1);
            string part = string.Concat(source.AsSpan(start, length).ToArray());
            string stop = random.Next(4) switch
            {
                0 => part + RandomText.Create(random, 1),
                1 => RandomText.Create(random, 1) + part,
                _ => part,
            };
            stops.Add(stop.Length > 0 ? stop : RandomText.Create(random, 2));
        }
        return [.. stops];
    }

    /// <summary>One to <paramref name="most"/> characters of few kinds, so that everything overlaps; some share a surrogate.</summary>
    public static string FewLetters(Random random, int most)
    {
        string[] letters = ["a", "b", "😀", "😁", "\u0301"];
        int kinds = random.Next(2, letters.Length + 1);
        return string.Concat(Enumerable.Range(0, random.Next(1, most + 1)).Select(_ => letters[random.Next(kinds)]));
    }
}
