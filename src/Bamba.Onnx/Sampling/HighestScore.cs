using System.Numerics;

namespace Bamba.Onnx.Sampling;

/// <summary>The highest of many scores, in about the time that reading them takes.</summary>
internal static class HighestScore
{
    // The search for the place of the highest score goes over one block only.
    private const int BlockLength = 4096;

    /// <summary>The lowest id with the highest score; -1 where every score is NaN or negative infinity.</summary>
    public static int Find(ReadOnlySpan<float> scores)
    {
        float highest = float.NegativeInfinity;
        int start = -1;
        for (int i = 0; i < scores.Length; i += BlockLength)
        {
            float highestOfBlock = HighestOf(scores.Slice(i, Math.Min(BlockLength, scores.Length - i)));
            if (highestOfBlock > highest)
            {
                (highest, start) = (highestOfBlock, i);
            }
        }
        return start < 0 ? -1 : start + IndexOf(scores[start..], highest);
    }

    private static float HighestOf(ReadOnlySpan<float> scores)
    {
        int width = Vector<float>.Count;
        var first = new Vector<float>(float.NegativeInfinity);
        Vector<float> second = first;
        int i = 0;
        // Two independent chains: a comparison need not wait for the one before it.
        for (; i <= scores.Length - 2 * width; i += 2 * width)
        {
            first = Higher(first, new Vector<float>(scores[i..]));
            second = Higher(second, new Vector<float>(scores[(i + width)..]));
        }
        first = Higher(first, second);
        float highest = float.NegativeInfinity;
        for (int lane = 0; lane < width; lane++)
        {
            highest = first[lane] > highest ? first[lane] : highest;
        }
        for (; i < scores.Length; i++)
        {
            highest = scores[i] > highest ? scores[i] : highest;
        }
        return highest;
    }

    /// <summary>Unlike a vector maximum, this lets no NaN in.</summary>
    private static Vector<float> Higher(Vector<float> best, Vector<float> scores) =>
        Vector.ConditionalSelect(Vector.GreaterThan(scores, best), scores, best);

    private static int IndexOf(ReadOnlySpan<float> scores, float wanted)
    {
        var wantedLanes = new Vector<float>(wanted);
        int i = 0;
        while (
            i <= scores.Length - Vector<float>.Count && !Vector.EqualsAny(new Vector<float>(scores[i..]), wantedLanes)
        )
        {
            i += Vector<float>.Count;
        }
        while (scores[i] != wanted)
        {
            i++;
        }
        return i;
    }
}
