using System.Numerics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Bamba.Onnx.Sampling;

/// <summary>The tokens that still take part with their scores, in ascending order of ids: at first all, then fewer with each filter.</summary>
internal ref struct Candidates
{
    private readonly Span<int> idRoom;
    private readonly Span<float> scoreRoom;
    private bool all = true;

    /// <summary>All tokens.</summary>
    /// <param name="scores">Scores, [vocab_size]; stay as they are.</param>
    /// <param name="idRoom">Room for the ids of those that are left, [vocab_size].</param>
    /// <param name="scoreRoom">Room for their scores, [vocab_size].</param>
    public Candidates(ReadOnlySpan<float> scores, Span<int> idRoom, Span<float> scoreRoom)
    {
        Scores = scores;
        this.idRoom = idRoom;
        this.scoreRoom = scoreRoom;
    }

    /// <summary>Their scores, by position.</summary>
    public ReadOnlySpan<float> Scores { get; private set; }

    /// <summary>The token at a position of <see cref="Scores"/>.</summary>
    public readonly int IdAt(int position) => all ? position : idRoom[position];

    /// <summary>Leaves those that a cut keeps. A NaN is never left.</summary>
    public void Narrow(ScoreCut cut)
    {
        int count = 0;
        var lowest = Vector256.Create(cut.Score);
        int i = 0;
        for (; i <= Scores.Length - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            var lanes = Vector256.LoadUnsafe(ref MemoryMarshal.GetReference(Scores), (nuint)i);
            uint kept = Vector256.GreaterThanOrEqual(lanes, lowest).ExtractMostSignificantBits();
            for (; kept != 0; kept &= kept - 1)
            {
                Add(i + BitOperations.TrailingZeroCount(kept), cut, ref count);
            }
        }
        for (; i < Scores.Length; i++)
        {
            Add(i, cut, ref count);
        }
        Scores = scoreRoom[..count];
        all = false;
    }

    /// <summary>Leaves those whose distance is at most this.</summary>
    public void Narrow(ReadOnlySpan<double> distances, double farthest)
    {
        int count = 0;
        for (int i = 0; i < Scores.Length; i++)
        {
            if (distances[i] <= farthest)
            {
                Put(i, ref count);
            }
        }
        Scores = scoreRoom[..count];
        all = false;
    }

    private readonly void Add(int position, ScoreCut cut, ref int count)
    {
        if (cut.Keeps(Scores[position], IdAt(position)))
        {
            Put(position, ref count);
        }
    }

    /// <summary>Moves an entry forwards at most, so that entries not yet read stay.</summary>
    private readonly void Put(int position, ref int count)
    {
        idRoom[count] = IdAt(position);
        scoreRoom[count++] = Scores[position];
    }
}
