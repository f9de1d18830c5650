namespace Bamba.Onnx.Generation;

/// <summary>
/// Passes the text of one sequence on up to the first stop string, wherever the pieces of the text break. It withholds no more
/// than the longest suffix that may still become a stop string. Not for several threads at once.
/// </summary>
/// <remarks>
/// The stop string that is complete first stops the text; of several that are complete with the same character, the longest.
/// What is withheld begins a stop string, so the automaton's node is all that has to be remembered of it.
/// </remarks>
internal sealed class StopStringFilter(StopStrings stops)
{
    private int node = StopStrings.Root;
    private char[] joined = [];

    /// <summary>The stop string that ended the text; after it nothing comes out any more.</summary>
    public string? Stopped { get; private set; }

    /// <summary>Takes the next piece of the text.</summary>
    /// <param name="text">Whole characters: no surrogate without its other half.</param>
    /// <returns>What may be shown now, whole characters again. Valid until the next call and as long as the piece is.</returns>
    public ReadOnlySpan<char> Append(ReadOnlySpan<char> text) => Take(text, isLast: false);

    /// <summary>Ends the text. Unless a stop string did so before, the filter is then as new.</summary>
    /// <param name="text">The last piece.</param>
    /// <returns>All that was withheld and the last piece, up to the stop string that this one may complete.</returns>
    public ReadOnlySpan<char> Flush(ReadOnlySpan<char> text = default) => Take(text, isLast: true);

    private ReadOnlySpan<char> Take(ReadOnlySpan<char> text, bool isLast)
    {
        if (Stopped is not null)
        {
            return [];
        }
        ReadOnlySpan<char> withheld = stops.Spelling(node);
        int taken = 0;
        while (taken < text.Length && Stopped is null)
        {
            node = stops.Next(node, text[taken++]);
            Stopped = stops.Match(node);
        }
        if (isLast)
        {
            node = StopStrings.Root;
        }
        int kept = Stopped?.Length ?? stops.Spelling(node).Length;
        return Join(withheld, text, withheld.Length + taken - kept);
    }

    /// <summary>The first <paramref name="length"/> characters of two spans, copied only where they are of both.</summary>
    private ReadOnlySpan<char> Join(ReadOnlySpan<char> first, ReadOnlySpan<char> second, int length)
    {
        if (length <= first.Length)
        {
            return first[..length];
        }
        if (first.IsEmpty)
        {
            return second[..length];
        }
        if (joined.Length < length)
        {
            joined = new char[Math.Max(length, 2 * joined.Length)];
        }
        first.CopyTo(joined);
        second[..(length - first.Length)].CopyTo(joined.AsSpan(first.Length));
        return joined.AsSpan(0, length);
    }
}
