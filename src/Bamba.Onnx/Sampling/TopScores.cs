using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Bamba.Onnx.Sampling;

/// <summary>Finds the k highest of many scores in one pass that compares most of them with the k-th highest so far and no more.</summary>
internal static class TopScores
{
    // Room beyond k, so that the candidates are thinned out only now and then.
    private const int Room = 256;

    /// <summary>How many keys the selection of k needs room for.</summary>
    public static int KeysFor(int k) => checked((2 * k) + Room);

    /// <summary>The last of the k first-ranking tokens; with fewer scores than that the last of all. There is at least one.</summary>
    public static ScoreCut LastOf(ReadOnlySpan<float> scores, int k, Span<ulong> keys) =>
        ScoreCut.AtKey(Find(scores, k, keys)[^1]);

    /// <summary>The keys (<see cref="ScoreCut.KeyOf"/>) of the k first-ranking tokens, the last of them at the end, the others in no order.</summary>
    /// <param name="scores">Scores, [vocab_size]; NaN and negative infinity do not count.</param>
    /// <param name="k">How many, at least 1.</param>
    /// <param name="keys">Room for <see cref="KeysFor"/> keys.</param>
    /// <returns>The first part of <paramref name="keys"/>: k keys, or fewer where there are fewer scores.</returns>
    public static Span<ulong> Find(ReadOnlySpan<float> scores, int k, Span<ulong> keys)
    {
        int count = 0;
        float threshold = float.NegativeInfinity;
        for (int i = 0; i < scores.Length; i += Vector256<float>.Count)
        {
            // A later token with the score of the k-th so far ranks behind it, so only higher scores come in question.
            uint higher = HigherThan(scores, i, threshold);
            for (; higher != 0; higher &= higher - 1)
            {
                int id = i + BitOperations.TrailingZeroCount(higher);
                keys[count++] = ScoreCut.KeyOf(scores[id], id);
            }
            if (count > keys.Length - Vector256<float>.Count)
            {
                PutLowestFirst(keys[..count], k);
                count = k;
                threshold = ScoreCut.AtKey(keys[k - 1]).Score;
            }
        }
        int found = Math.Min(count, k);
        PutLowestFirst(keys[..count], found);
        return keys[..found];
    }

    /// <summary>A bit for each of eight scores, the lowest for the first.</summary>
    private static uint HigherThan(ReadOnlySpan<float> scores, int start, float threshold)
    {
        if (start <= scores.Length - Vector256<float>.Count)
        {
            var lanes = Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(scores), (nuint)start);
            return Vector256.GreaterThan(lanes, Vector256.Create(threshold)).ExtractMostSignificantBits();
        }
        uint bits = 0;
        for (int i = start; i < scores.Length; i++)
        {
            bits |= scores[i] > threshold ? 1u << (i - start) : 0;
        }
        return bits;
    }

    /// <summary>Quickselect (Hoare 1961): the k lowest keys come first, the highest of them at k - 1. All keys differ.</summary>
    private static void PutLowestFirst(Span<ulong> keys, int k)
    {
        int low = 0;
        int high = keys.Length - 1;
        // Each round leaves about half; an order made to defeat the pivots costs a sort, not quadratic time.
        for (int rounds = 2 * BitOperations.Log2((uint)keys.Length | 1); low < high; rounds--)
        {
            if (rounds == 0)
            {
                keys[low..(high + 1)].Sort();
                return;
            }
            int pivot = low + Partition(keys[low..(high + 1)]);
            if (pivot == k - 1)
            {
                return;
            }
            (low, high) = pivot < k - 1 ? (pivot + 1, high) : (low, pivot - 1);
        }
    }

    /// <summary>Puts the lower keys before the pivot and the higher ones behind it.</summary>
    /// <returns>Where the pivot ended up.</returns>
    private static int Partition(Span<ulong> keys)
    {
        ulong a = keys[0];
        ulong b = keys[keys.Length / 2];
        ulong c = keys[^1];
        ulong median = Math.Max(Math.Min(a, b), Math.Min(Math.Max(a, b), c));
        int place = median == a ? 0 : (median == b ? keys.Length / 2 : keys.Length - 1);
        keys[place] = keys[^1];
        int lower = 0;
        for (int i = 0; i < keys.Length - 1; i++)
        {
            ulong key = keys[i];
            // Swapping always and counting by the comparison leaves no branch to mispredict.
            keys[i] = keys[lower];
            keys[lower] = key;
            lower += key < median ? 1 : 0;
        }
        keys[^1] = keys[lower];
        keys[lower] = median;
        return lower;
    }
}
