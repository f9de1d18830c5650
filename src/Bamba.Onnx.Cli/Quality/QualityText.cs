using Bamba.Onnx.Contract;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>
/// The tokens of a text, special ones left out, and windows side by side in them: at position i the model has read its window up
/// to token i, and is to foretell token i + 1.
/// </summary>
internal sealed class QualityText
{
    private readonly long[] tokens;

    private QualityText(string name, int[] tokens, QualityLimits limits)
    {
        Name = name;
        Window = limits.Window;
        Positions = Math.Min(limits.Tokens, tokens.Length - 1);
        this.tokens = [.. tokens.Take(Positions + 1)];
        IsShort = Positions < limits.Tokens;
    }

    /// <summary>The file's name.</summary>
    public string Name { get; }

    /// <summary>Tokens of a window; the last may have fewer.</summary>
    public int Window { get; }

    /// <summary>Positions to score.</summary>
    public int Positions { get; }

    /// <summary>Whether the text has fewer positions than were asked for.</summary>
    public bool IsShort { get; }

    /// <summary>Reads a text for two models, which must read the same in it.</summary>
    /// <exception cref="BambaFormatException">The file is missing or too short, or a folder's tokenizer is.</exception>
    /// <exception cref="BambaException">The models have different tokens for the text.</exception>
    public static QualityText Read(string file, string model, string reference, QualityLimits limits)
    {
        string text = TextFile.Read(file);
        int[] tokens = TokensOf(text, reference);
        int[] others = TokensOf(text, model);
        if (!tokens.AsSpan().SequenceEqual(others))
        {
            int same = tokens.AsSpan().CommonPrefixLength(others);
            throw new BambaException(
                $"{model}: expected the tokens that {reference} has for {file}, found others from token {same} on"
            );
        }
        return tokens.Length >= 2
            ? new QualityText(Path.GetFileName(file), tokens, limits)
            : throw new BambaFormatException(file, $"expected a text of at least 2 tokens, found {tokens.Length}");
    }

    /// <summary>What a model reads at the positions of a piece.</summary>
    public long[] Inputs(TextPiece piece) => tokens[piece.Start..(piece.Start + piece.Count)];

    /// <summary>The token that follows at a position.</summary>
    public int Next(int position) => (int)tokens[position + 1];

    /// <summary>The first positions, window by window and each window in pieces.</summary>
    public IEnumerable<TextPiece> Pieces(int length, int positions)
    {
        for (int start = 0, count; start < positions; start += count)
        {
            int place = start % Window;
            count = Math.Min(Math.Min(length, Window - place), positions - start);
            yield return new TextPiece(start, count, place == 0);
        }
    }

    private static int[] TokensOf(string text, string folder) =>
        BambaTokenizer.Load(folder).Encode(text, addSpecialTokens: false);
}
