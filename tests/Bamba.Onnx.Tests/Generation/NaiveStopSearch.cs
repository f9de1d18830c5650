namespace Bamba.Onnx.Tests.Generation;

/// <summary>What a stop string does to a text, by trying every place.</summary>
internal static class NaiveStopSearch
{
    /// <summary>The text before the stop string that ends first, the longest of those that do; all of it without one.</summary>
    public static (string Visible, string? Stop) Cut(string text, string[] stops)
    {
        for (int end = 1; end <= text.Length; end++)
        {
            string? stop = stops
                .Where(stop => text[..end].EndsWith(stop, StringComparison.Ordinal))
                .MaxBy(stop => stop.Length);
            if (stop is not null)
            {
                return (text[..(end - stop.Length)], stop);
            }
        }
        return (text, null);
    }

    /// <summary>The length of the longest end of the text with which a stop string begins, but that is not all of it.</summary>
    public static int LongestBeginningAtEnd(string text, string[] stops) =>
        stops
            .SelectMany(stop => Enumerable.Range(1, stop.Length - 1).Select(length => stop[..length]))
            .Where(beginning => text.EndsWith(beginning, StringComparison.Ordinal))
            .Select(beginning => beginning.Length)
            .DefaultIfEmpty(0)
            .Max();
}
