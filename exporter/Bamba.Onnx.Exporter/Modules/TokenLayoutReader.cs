using System.Collections.Immutable;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>Reads and checks everything that callers say about tokens: shapes, mask, positions, cache, packed sequences.</summary>
internal static class TokenLayoutReader
{
    /// <summary>Reads the layout of a batch.</summary>
    /// <exception cref="ArgumentException">The inputs contradict each other.</exception>
    public static TokenLayout Read(BambaInputs inputs, int layers)
    {
        Tensor source = Source(inputs);
        (long batch, long tokens) = (source.shape[0], source.shape[1]);
        if (batch == 0 || tokens == 0)
        {
            throw new ArgumentException($"input: expected at least one token, found {InputChecks.Shape(source)}");
        }
        RequireCache(inputs.Cache, batch, layers);
        ImmutableArray<long> past = inputs.Cache?.Lengths ?? [.. new long[batch]];
        Tensor? mask = Mask(inputs, past, tokens);
        ImmutableArray<long> lengths = mask is null
            ? [.. Enumerable.Repeat(tokens, (int)batch)]
            : [.. InputChecks.ToArray(mask.sum(1))];
        // A mask of ones is none.
        mask = lengths.All(length => length == tokens) ? null : mask;
        long[]? starts = PackedSequences.Starts(inputs, batch, tokens);
        return new TokenLayout(past, lengths, tokens, mask, starts, source.device);
    }

    /// <summary>Reads the positions of compacted tokens, [batch or 1, tokens] int64.</summary>
    /// <exception cref="ArgumentException">They are malformed, or start again inside a sequence.</exception>
    public static Tensor Positions(BambaInputs inputs, TokenLayout layout)
    {
        if (inputs.PositionIds is not { } given)
        {
            return layout.DefaultPositions;
        }
        const string Name = nameof(inputs.PositionIds);
        InputChecks.RequireInteger(given, Name, 2);
        long batch = layout.Lengths.Length;
        InputChecks.RequireShape(given, Name, given.shape[0] == 1 ? 1 : batch, layout.Tokens);
        Tensor positions = layout.Compact(given.to_type(ScalarType.Int64).expand(batch, -1));

        Tensor earlier = positions.narrow(1, 0, layout.Tokens - 1);
        Tensor restarts = positions.narrow(1, 1, layout.Tokens - 1).less_equal(earlier);
        if (layout.Real is { } real)
        {
            restarts = restarts.logical_and(real.narrow(1, 1, layout.Tokens - 1));
        }
        if (layout.Segments is { } segments)
        {
            Tensor same = segments.narrow(1, 1, layout.Tokens - 1).eq(segments.narrow(1, 0, layout.Tokens - 1));
            restarts = restarts.logical_and(same);
        }
        return restarts.any().item<bool>()
            ? throw InputChecks.Error(
                Name,
                $"expected positions that increase in each sequence, found a restart; packed sequences need SeqIdx or CuSeqLensQ"
            )
            : positions;
    }

    private static Tensor Source(BambaInputs inputs)
    {
        switch (inputs)
        {
            case { InputIds: { } ids, InputsEmbeds: null }:
                InputChecks.RequireInteger(ids, nameof(inputs.InputIds), 2);
                return ids;
            case { InputIds: null, InputsEmbeds: { } embeddings }:
                InputChecks.RequireRank(embeddings, nameof(inputs.InputsEmbeds), 3);
                return embeddings;
            default:
                throw new ArgumentException("input: expected either InputIds or InputsEmbeds", nameof(inputs));
        }
    }

    private static void RequireCache(BambaCache? cache, long batch, int layers)
    {
        if (cache is not null && (cache.Lengths.Length != batch || cache.Layers.Length != layers))
        {
            throw new ArgumentException(
                $"Cache: expected {batch} rows of {layers} layers, found {cache.Lengths.Length} of {cache.Layers.Length}",
                nameof(cache)
            );
        }
    }

    /// <summary>The mask of this call's columns, [batch, tokens] bool.</summary>
    private static Tensor? Mask(BambaInputs inputs, ImmutableArray<long> past, long tokens)
    {
        if (inputs.AttentionMask is not { } given)
        {
            return null;
        }
        const string Name = nameof(inputs.AttentionMask);
        InputChecks.RequireRank(given, Name, 2);
        long earlierColumns = given.shape[1] - tokens;
        if (given.shape[0] != past.Length || earlierColumns < 0 || (inputs.Cache is null && earlierColumns > 0))
        {
            string columns = inputs.Cache is null ? $"{tokens}" : $"those of the past and {tokens}";
            throw InputChecks.Error(Name, $"expected [{past.Length}, {columns}], found {InputChecks.Shape(given)}");
        }
        Tensor mask = given.not_equal(0);
        long[] earlier = InputChecks.ToArray(mask.narrow(1, 0, earlierColumns).sum(1));
        if (!past.AsSpan().SequenceEqual(earlier))
        {
            throw InputChecks.Error(
                Name,
                $"expected {string.Join(", ", past)} real tokens in the earlier columns as in the cache, found {string.Join(", ", earlier)}"
            );
        }
        return mask.narrow(1, earlierColumns, tokens);
    }
}
