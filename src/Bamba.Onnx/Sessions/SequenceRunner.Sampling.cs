using System.Diagnostics;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices.Cuda;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

// Steps whose tokens are chosen where the scores are.
internal sealed partial class SequenceRunner
{
    /// <summary>
    /// Begins to choose tokens where the scores are; false where that is the processor's work. Every row that takes part has scores.
    /// </summary>
    /// <param name="options">How each row chooses.</param>
    /// <param name="ends">The tokens that end a row.</param>
    /// <param name="resting">Rows that take no part.</param>
    public bool BeginSampling(ReadOnlySpan<SamplingRow> options, ReadOnlySpan<int> ends, ReadOnlySpan<bool> resting)
    {
        if (buffers.Logits.IsOfEveryPosition || ends.Length > DeviceSampler.MostEndTokens)
        {
            return false;
        }
        sampler ??= graph.CreateSampler(runner, buffers, BatchSize, vocabSize);
        if (sampler is null)
        {
            return false;
        }
        buffers.Logits.RequireInPlace(resting);
        sampler.Begin(options, ends, resting);
        return true;
    }

    /// <summary>The next token of each row that has not ended; the token before it was fed where it was chosen.</summary>
    /// <param name="chosen">Gets a token a row, or <see cref="BambaSession.NoToken"/> of one that rests.</param>
    /// <param name="ahead">Steps to have on their way beyond this one.</param>
    public void Sample(Span<int> chosen, int ahead)
    {
        long begin = Stopwatch.GetTimestamp();
        try
        {
            sampler!.Queue(ahead);
            sampler.Take(chosen);
        }
        catch (Exception e) when (e is OnnxRuntimeException or BambaException)
        {
            IsDamaged = true;
            throw new BambaException($"ONNX Runtime failed in the middle of a step: {e.Message}", e);
        }
        finally
        {
            RunTicks += Stopwatch.GetTimestamp() - begin;
        }
    }

    /// <summary>Lets a row take no more tokens.</summary>
    public void Rest(int row) => sampler!.Rest(row);

    /// <summary>Ends the choosing: from then on the session knows what each row took.</summary>
    /// <param name="chosen">The tokens that were chosen for each row, in order.</param>
    public void EndSampling(IReadOnlyList<IReadOnlyList<int>> chosen)
    {
        int[] before = buffers.PastLens.Span.ToArray();
        int[] lengths = new int[BatchSize];
        sampler!.End(lengths);
        for (int row = 0; row < BatchSize; row++)
        {
            int fed = lengths[row] - before[row];
            for (int i = 0; i < fed; i++)
            {
                tokens[row][before[row] + i] = chosen[row][i];
            }
            // A row that rested in the last step has the scores of its padding.
            if (fed == sampler.Steps)
            {
                if (fed > 0)
                {
                    buffers.Logits.Written(0, row, 1, 0);
                }
            }
            else
            {
                buffers.Logits.Forget(row, 1);
            }
        }
    }
}
