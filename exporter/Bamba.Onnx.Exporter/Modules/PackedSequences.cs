using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>Several sequences in one row, without padding (Hugging Face's padding-free training).</summary>
internal static class PackedSequences
{
    /// <summary>Reads and checks the limits of sequences.</summary>
    /// <returns>Where each sequence that has tokens starts; null for a batch of ordinary rows.</returns>
    /// <exception cref="ArgumentException">The limits are malformed, disagree, or come with a mask, a cache or several rows.</exception>
    public static long[]? Starts(BambaInputs inputs, long batch, long tokens)
    {
        if (inputs is { SeqIdx: null, CuSeqLensQ: null, CuSeqLensK: null })
        {
            return inputs is { MaxLengthQ: null, MaxLengthK: null }
                ? null
                : throw InputChecks.Error("MaxLengthQ, MaxLengthK", "expected with SeqIdx or CuSeqLensQ only");
        }
        RequirePackable(inputs, batch);

        long[]? starts = null;
        string startsName = "";
        (string Name, long[]? Starts)[] sources =
        [
            (nameof(inputs.SeqIdx), inputs.SeqIdx is { } index ? StartsOfIndex(index, tokens) : null),
            (nameof(inputs.CuSeqLensQ), StartsOfLengths(inputs.CuSeqLensQ, nameof(inputs.CuSeqLensQ), tokens)),
            (nameof(inputs.CuSeqLensK), StartsOfLengths(inputs.CuSeqLensK, nameof(inputs.CuSeqLensK), tokens)),
        ];
        foreach ((string name, long[]? found) in sources)
        {
            if (starts is not null && found is not null && !starts.AsSpan().SequenceEqual(found))
            {
                throw InputChecks.Error(
                    name,
                    $"expected sequences that start at {string.Join(", ", starts)} as in {startsName}, found {string.Join(", ", found)}"
                );
            }
            (starts, startsName) = starts is null ? (found, name) : (starts, startsName);
        }
        RequireLength(inputs.MaxLengthQ, nameof(inputs.MaxLengthQ), starts!, tokens);
        RequireLength(inputs.MaxLengthK, nameof(inputs.MaxLengthK), starts!, tokens);
        return starts;
    }

    private static void RequirePackable(BambaInputs inputs, long batch)
    {
        if (batch != 1)
        {
            throw InputChecks.Error("packed sequences", $"expected one row, found {batch}");
        }
        if (inputs.AttentionMask is not null)
        {
            throw InputChecks.Error("packed sequences", "expected no AttentionMask");
        }
        if (inputs.Cache is not null || inputs.UseCache == true)
        {
            throw InputChecks.Error("packed sequences", "expected neither Cache nor UseCache");
        }
    }

    private static long[] StartsOfIndex(Tensor seqIdx, long tokens)
    {
        const string Name = nameof(BambaInputs.SeqIdx);
        InputChecks.RequireInteger(seqIdx, Name, 2);
        InputChecks.RequireShape(seqIdx, Name, 1, tokens);
        long[] index = InputChecks.ToArray(seqIdx);
        var starts = new List<long> { 0 };
        if (index[0] < 0)
        {
            throw InputChecks.Error(Name, $"expected numbers from 0 on, found {index[0]} at token 0");
        }
        for (int i = 1; i < index.Length; i++)
        {
            if (index[i] < index[i - 1])
            {
                throw InputChecks.Error(
                    Name,
                    $"expected numbers that never decrease, found {index[i]} after {index[i - 1]} at token {i}"
                );
            }
            if (index[i] != index[i - 1])
            {
                starts.Add(i);
            }
        }
        return [.. starts];
    }

    private static long[]? StartsOfLengths(Tensor? cumulative, string name, long tokens)
    {
        if (cumulative is null)
        {
            return null;
        }
        InputChecks.RequireInteger(cumulative, name, 1);
        long[] limits = InputChecks.ToArray(cumulative);
        bool rises = !limits.Zip(limits.Skip(1)).Any(pair => pair.Second < pair.First);
        if (limits.Length < 2 || limits[0] != 0 || limits[^1] != tokens || !rises)
        {
            throw InputChecks.Error(
                name,
                $"expected limits that rise from 0 to the {tokens} tokens, found {string.Join(", ", limits)}"
            );
        }
        // An empty sequence starts where the next one does, or at the end.
        return [.. limits.Distinct().Where(start => start < tokens)];
    }

    private static void RequireLength(int? limit, string name, long[] starts, long tokens)
    {
        long longest = starts.Append(tokens).Zip(starts.Skip(1).Append(tokens)).Max(pair => pair.Second - pair.First);
        if (limit < longest)
        {
            throw InputChecks.Error(name, $"expected at least the longest sequence, {longest}, found {limit}");
        }
    }
}
