using System.Buffers;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace Bamba.Onnx.Text;

/// <summary>A byte-level BPE vocabulary with its merges: turns words into ids. Safe to use from several threads.</summary>
internal sealed class BpeModel
{
    /// <summary>Longest word in bytes for the library; from here on its quadratic part outweighs what it does better.</summary>
    private const int LongestLibraryWord = 512;

    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> idsBySpan;
    private readonly bool ignoreMerges;
    private readonly BpeTokenizer library;
    private readonly LongWordMerger longWords;
    private readonly int[] byteIds = new int[256];

    /// <param name="vocabulary">Ids of tokens; contains a token for every byte.</param>
    /// <param name="merges">What pairs of ids merge to; both and the result are in the vocabulary.</param>
    /// <param name="ignoreMerges">Whether a word that is a token is that token, however merges would build it.</param>
    public BpeModel(
        Dictionary<string, int> vocabulary,
        Dictionary<(int Left, int Right), BpeMerge> merges,
        bool ignoreMerges
    )
    {
        Vocabulary = vocabulary;
        this.ignoreMerges = ignoreMerges;
        idsBySpan = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        longWords = new LongWordMerger(merges);
        library = CreateLibrary(vocabulary, merges);
        for (int b = 0; b < byteIds.Length; b++)
        {
            byteIds[b] = vocabulary[ByteAlphabet.ToChar((byte)b).ToString()];
        }
    }

    /// <summary>Ids of tokens, spelled in <see cref="ByteAlphabet"/>.</summary>
    public IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>Appends the ids of a word of well-formed text.</summary>
    public void Encode(ReadOnlySpan<char> word, List<int> ids)
    {
        byte[] bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(word.Length));
        int count = Encoding.UTF8.GetBytes(word, bytes);
        char[] spelling = ArrayPool<char>.Shared.Rent(count);
        ByteAlphabet.Spell(bytes.AsSpan(0, count), spelling);
        Encode(bytes.AsSpan(0, count), spelling.AsSpan(0, count), ids);
        ArrayPool<char>.Shared.Return(spelling);
        ArrayPool<byte>.Shared.Return(bytes);
    }

    private void Encode(ReadOnlySpan<byte> bytes, ReadOnlySpan<char> spelling, List<int> ids)
    {
        if (ignoreMerges && idsBySpan.TryGetValue(spelling, out int whole))
        {
            ids.Add(whole);
        }
        else if (bytes.Length <= LongestLibraryWord)
        {
            ids.AddRange(library.EncodeToIds(spelling, considerPreTokenization: false, considerNormalization: false));
        }
        else
        {
            EncodeLong(bytes, ids);
        }
    }

    /// <summary>The same tokens without the library, in time that grows gently with the word.</summary>
    internal void EncodeLong(ReadOnlySpan<byte> bytes, List<int> ids)
    {
        var symbols = new int[bytes.Length];
        for (int i = 0; i < symbols.Length; i++)
        {
            symbols[i] = byteIds[bytes[i]];
        }
        longWords.Merge(symbols, ids);
    }

    private static BpeTokenizer CreateLibrary(
        Dictionary<string, int> vocabulary,
        Dictionary<(int Left, int Right), BpeMerge> merges
    )
    {
        Dictionary<int, string> tokens = vocabulary.ToDictionary(entry => entry.Value, entry => entry.Key);
        return BpeTokenizer.Create(
            new BpeOptions(vocabulary)
            {
                Merges = merges
                    .OrderBy(merge => merge.Value.Rank)
                    .Select(merge => $"{tokens[merge.Key.Left]} {tokens[merge.Key.Right]}"),
            }
        );
    }
}
