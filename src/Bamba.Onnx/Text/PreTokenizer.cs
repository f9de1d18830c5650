namespace Bamba.Onnx.Text;

/// <summary>Cuts text into the words inside which merges happen: steps that each cut every piece of the step before.</summary>
internal sealed class PreTokenizer(IReadOnlyList<IPreTokenizerStep> steps)
{
    /// <summary>The words of a well-formed text, in order, none of them empty.</summary>
    public List<ReadOnlyMemory<char>> Split(ReadOnlyMemory<char> text)
    {
        List<ReadOnlyMemory<char>> pieces = text.IsEmpty ? [] : [text];
        foreach (IPreTokenizerStep step in steps)
        {
            var next = new List<ReadOnlyMemory<char>>(pieces.Count);
            foreach (ReadOnlyMemory<char> piece in pieces)
            {
                step.Apply(piece, next);
            }
            pieces = next;
        }
        return pieces;
    }
}

/// <summary>One step of a <see cref="PreTokenizer"/>.</summary>
internal interface IPreTokenizerStep
{
    /// <summary>Appends what becomes of a piece that is not empty.</summary>
    public void Apply(ReadOnlyMemory<char> piece, List<ReadOnlyMemory<char>> pieces);
}

/// <summary>Cuts at the matches of a pattern.</summary>
/// <param name="regex">The pattern.</param>
/// <param name="keepMatches">Whether what matched stays, as pieces of its own.</param>
/// <param name="keepGaps">Whether what lies between matches stays.</param>
internal sealed class SplitStep(ScalarRegex regex, bool keepMatches, bool keepGaps) : IPreTokenizerStep
{
    public void Apply(ReadOnlyMemory<char> piece, List<ReadOnlyMemory<char>> pieces) =>
        regex.Split(piece, keepMatches, keepGaps, pieces);
}

/// <summary>Puts a space before a piece that does not start with one.</summary>
internal sealed class PrefixSpaceStep : IPreTokenizerStep
{
    public void Apply(ReadOnlyMemory<char> piece, List<ReadOnlyMemory<char>> pieces) =>
        pieces.Add(piece.Span[0] == ' ' ? piece : string.Concat(" ", piece.Span).AsMemory());
}
