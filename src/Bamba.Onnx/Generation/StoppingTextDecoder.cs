using Bamba.Onnx.Text;

namespace Bamba.Onnx.Generation;

/// <summary>
/// Turns the tokens of one sequence into the text that may be shown, as they come: whole characters, up to the first stop
/// string. Not for several threads at once.
/// </summary>
internal sealed class StoppingTextDecoder
{
    private readonly StreamingTextDecoder decoder;
    private readonly StopStringFilter? filter;

    /// <param name="decoder">A decoder of its own.</param>
    /// <param name="stops">The stop strings; null or an empty set lets all text through as it is.</param>
    public StoppingTextDecoder(StreamingTextDecoder decoder, StopStrings? stops)
    {
        this.decoder = decoder;
        filter = stops is { Strings.IsEmpty: false } ? new StopStringFilter(stops) : null;
    }

    /// <summary>The stop string that ended the text; after it nothing comes out any more.</summary>
    public string? Stopped => filter?.Stopped;

    /// <summary>Takes the next token.</summary>
    /// <returns>What may be shown now, often nothing. Valid until the next call.</returns>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="id"/> is negative.</exception>
    public ReadOnlySpan<char> Append(int id)
    {
        ReadOnlySpan<char> text = decoder.Append(id);
        return filter is null ? text : filter.Append(text);
    }

    /// <summary>Ends the sequence. The replacement of a broken last character may still complete a stop string.</summary>
    /// <returns>What was withheld. Valid until the next call.</returns>
    public ReadOnlySpan<char> Flush()
    {
        ReadOnlySpan<char> text = decoder.Flush();
        return filter is null ? text : filter.Flush(text);
    }
}
