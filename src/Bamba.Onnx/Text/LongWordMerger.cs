namespace Bamba.Onnx.Text;

/// <summary>
/// Byte-pair merging of one long word in O(n log n). Microsoft.ML.Tokenizers merges in the same order but closes the gap
/// behind every merged symbol by moving all later ones: a million equal letters that merge take it a minute.
/// </summary>
internal sealed class LongWordMerger(IReadOnlyDictionary<(int Left, int Right), BpeMerge> merges)
{
    private const int None = -1;

    /// <summary>Applies merges, the best rank first and among equals the leftmost, and appends the symbols that remain.</summary>
    /// <param name="symbols">One id a byte; overwritten.</param>
    /// <param name="ids">Receives the tokens.</param>
    public void Merge(Span<int> symbols, List<int> ids)
    {
        int[] next = Links(symbols.Length, offset: 1);
        int[] previous = Links(symbols.Length, offset: -1);
        var candidates = new PriorityQueue<Candidate, long>(symbols.Length);
        for (int i = 0; i < symbols.Length; i++)
        {
            Propose(i, next, symbols, candidates);
        }
        while (candidates.TryDequeue(out Candidate candidate, out _))
        {
            int left = candidate.Position;
            if (!StillStands(candidate, next, symbols))
            {
                continue;
            }
            int right = next[left];
            symbols[left] = candidate.Result;
            symbols[right] = None;
            next[left] = next[right];
            if (next[right] != None)
            {
                previous[next[right]] = left;
            }
            Propose(left, next, symbols, candidates);
            Propose(previous[left], next, symbols, candidates);
        }
        for (int i = 0; i != None; i = next[i])
        {
            ids.Add(symbols[i]);
        }
    }

    private static int[] Links(int length, int offset)
    {
        var links = new int[length];
        for (int i = 0; i < length; i++)
        {
            int target = i + offset;
            links[i] = target >= 0 && target < length ? target : None;
        }
        return links;
    }

    private void Propose(int left, int[] next, Span<int> symbols, PriorityQueue<Candidate, long> candidates)
    {
        if (
            left != None
            && next[left] != None
            && merges.TryGetValue((symbols[left], symbols[next[left]]), out BpeMerge merge)
        )
        {
            candidates.Enqueue(new Candidate(left, merge.Result), ((long)merge.Rank << 32) | (uint)left);
        }
    }

    /// <summary>Whether neither symbol has been merged with another since the candidate was proposed.</summary>
    private bool StillStands(Candidate candidate, int[] next, Span<int> symbols)
    {
        int left = candidate.Position;
        return symbols[left] != None
            && next[left] != None
            && merges.TryGetValue((symbols[left], symbols[next[left]]), out BpeMerge merge)
            && merge.Result == candidate.Result;
    }

    private readonly record struct Candidate(int Position, int Result);
}

/// <summary>What a pair of tokens merges to.</summary>
/// <param name="Rank">Its place in the list of merges; lower goes first.</param>
/// <param name="Result">The token of both.</param>
internal readonly record struct BpeMerge(int Rank, int Result);
