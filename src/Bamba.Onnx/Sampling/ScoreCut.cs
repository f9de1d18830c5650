using System.Runtime.CompilerServices;

namespace Bamba.Onnx.Sampling;

/// <summary>
/// A place in the ranking of tokens by score, highest first, and of equal scores by id, lowest first: it keeps the token of
/// that score and id and all before it.
/// </summary>
/// <param name="Score">The lowest score that is kept.</param>
/// <param name="LastId">The highest id that is kept of those with that score.</param>
internal readonly record struct ScoreCut(float Score, int LastId)
{
    /// <summary>Keeps all tokens from a score on, but never one of negative infinity.</summary>
    public static ScoreCut AtLeast(float score) => new(Math.Max(score, float.MinValue), int.MaxValue);

    /// <summary>The place of a key of <see cref="KeyOf"/>.</summary>
    public static ScoreCut AtKey(ulong key)
    {
        uint ascending = ~(uint)(key >> 32);
        uint bits = (ascending & 0x80000000) != 0 ? ascending & 0x7FFFFFFF : ~ascending;
        return new ScoreCut(BitConverter.UInt32BitsToSingle(bits), (int)(uint)key);
    }

    /// <summary>A number for a token that is no NaN; the token that ranks earlier has the lower one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong KeyOf(float score, int id)
    {
        // Adding zero makes of negative zero, which equals it, the same bits.
        uint bits = BitConverter.SingleToUInt32Bits(score + 0f);
        // The bits of floats order like integers once the negative ones are turned around and put below the others.
        uint ascending = (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
        return ((ulong)~ascending << 32) | (uint)id;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Keeps(float score, int id) => score > Score || (score == Score && id <= LastId);
}
