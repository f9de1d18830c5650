using System.Collections.Immutable;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>
/// Where the real tokens of a batch are. Masks end here: the real tokens of each row move to its front, in order, every
/// layer sees lengths only, and results move back. So a row gives exactly what it gives alone. The tensors live in the
/// dispose scope of the forward pass.
/// </summary>
public sealed class TokenLayout
{
    private const long NoLabel = -100;

    private readonly Tensor? order;
    private readonly Tensor? restore;

    internal TokenLayout(
        ImmutableArray<long> pastLengths,
        ImmutableArray<long> lengths,
        long tokens,
        Tensor? mask,
        long[]? starts,
        Device device
    )
    {
        PastLengths = pastLengths;
        Lengths = lengths;
        Tokens = tokens;
        Device = device;
        Columns = arange(tokens, ScalarType.Int64, device).unsqueeze(0);
        if (mask is not null)
        {
            // No two keys are equal, so the order of real tokens is kept.
            order = Columns.Plus(mask.logical_not() * tokens).argsort(-1);
            restore = order.argsort(-1);
            Real = Columns.less(Column(lengths));
        }
        if (starts is not null)
        {
            Segments = searchsorted(tensor(starts, device: device), Columns, right: true).Plus(-1);
            Offsets = Columns.Minus(tensor(starts, device: device).index_select(0, Segments.flatten()).unsqueeze(0));
        }
    }

    /// <summary>Real tokens of each row before this call.</summary>
    public ImmutableArray<long> PastLengths { get; }

    /// <summary>Real tokens of each row in this call.</summary>
    public ImmutableArray<long> Lengths { get; }

    /// <summary>Columns of this call, padding included.</summary>
    public long Tokens { get; }

    /// <summary>Real tokens of the longest row, those of the past included.</summary>
    public long Total => PastLengths.Zip(Lengths, (past, now) => past + now).Max();

    /// <summary>Which columns hold a real token after the move, [batch, tokens] bool: a prefix of each row; null for all.</summary>
    public Tensor? Real { get; }

    /// <summary>The sequence of each token of a packed row, from 0, [1, tokens] int64; null for ordinary rows.</summary>
    public Tensor? Segments { get; }

    internal Device Device { get; }

    private Tensor Columns { get; }

    /// <summary>The place of each token in its sequence of a packed row, [1, tokens].</summary>
    private Tensor? Offsets { get; }

    /// <summary>Positions counted from the start of each sequence, [batch or 1, tokens] int64.</summary>
    internal Tensor DefaultPositions => Offsets ?? Columns.Plus(Column(PastLengths));

    /// <summary>
    /// Which keys each token sees, [batch or 1, 1, tokens, keys] bool: in its sequence, up to itself. A row's keys have no
    /// gaps, so a key's index is its place. At least the first key is seen, by padding too.
    /// </summary>
    internal Tensor VisibleKeys()
    {
        Tensor keys = arange(Total, ScalarType.Int64, Device);
        Tensor places = Columns.Plus(Column(PastLengths)).unsqueeze(1).unsqueeze(-1);
        Tensor visible = keys.less_equal(places);
        return Segments is null ? visible : visible.logical_and(Segments.unsqueeze(-1).eq(Segments.unsqueeze(1)));
    }

    /// <summary>Puts new keys or values behind each row's own, [batch, kv_heads, tokens of the longest row, head_dim].</summary>
    internal Tensor Append(Tensor? past, Tensor added)
    {
        Tensor both = past is null ? added.alias() : cat([past, added], 2);
        if (Real is null && PastLengths.All(length => length == PastLengths[0]))
        {
            return both;
        }
        long pastTokens = past?.shape[2] ?? 0;
        Tensor places = arange(Total, ScalarType.Int64, Device).unsqueeze(0);
        Tensor pastLengths = Column(PastLengths);
        Tensor behind = places.Minus(pastLengths).Plus(pastTokens).clamp_max(pastTokens + Tokens - 1);
        Tensor index = where(places.less(pastLengths), places, behind).unsqueeze(1).unsqueeze(-1);
        return both.gather(2, index.expand(both.shape[0], both.shape[1], Total, both.shape[3]));
    }

    /// <summary>The last <paramref name="count"/> columns before each row's end of a window that starts with as many earlier ones.</summary>
    /// <param name="window">[batch, count + tokens, channels].</param>
    /// <param name="count">How many.</param>
    internal Tensor LastOf(Tensor window, long count)
    {
        if (Real is null)
        {
            return window.narrow(1, Tokens, count);
        }
        Tensor index = arange(count, ScalarType.Int64, Device).unsqueeze(0).Plus(Column(Lengths)).unsqueeze(-1);
        return window.gather(1, index.expand(-1, -1, window.shape[2]));
    }

    /// <summary>Moves the real tokens of each row to its front, [batch, tokens, …].</summary>
    internal Tensor Compact(Tensor values) => Reorder(values, order, 1);

    /// <summary>Moves tokens back to where they came from, along <paramref name="axis"/>.</summary>
    internal Tensor Restore(Tensor values, int axis = 1) => Reorder(values, restore, axis);

    /// <summary>What each column is to predict, −100 for nothing: the label of the real token behind it in its sequence.</summary>
    /// <param name="labels">[batch, tokens] int64, as the caller gave them.</param>
    internal Tensor NextLabels(Tensor labels)
    {
        Tensor compact = Compact(labels);
        Tensor next = cat([compact.narrow(1, 1, Tokens - 1), full_like(compact.narrow(1, 0, 1), NoLabel)], 1);
        if (Segments is not null)
        {
            Tensor follower = cat([Segments.narrow(1, 1, Tokens - 1), Segments.narrow(1, Tokens - 1, 1)], 1);
            next = next.Fill(follower.not_equal(Segments), NoLabel);
        }
        // The column in front of the first padded one is a row's last token.
        next = Real is null ? next : next.Fill(Columns.Plus(1).less(Column(Lengths)).logical_not(), NoLabel);
        return Restore(next);
    }

    /// <summary>Labels that are aligned already, without those of masked tokens.</summary>
    internal Tensor WithoutPadding(Tensor labels) =>
        RealAsGiven() is { } real ? labels.Fill(real.logical_not(), NoLabel) : labels.alias();

    /// <summary>Which columns are real in the caller's order, [batch, tokens] bool; null for all.</summary>
    internal Tensor? RealAsGiven() => Real is null ? null : Restore(Real);

    private static Tensor Reorder(Tensor values, Tensor? index, int axis)
    {
        if (index is null)
        {
            return values.alias();
        }
        long[] shape = new long[values.dim()];
        Array.Fill(shape, 1);
        shape[0] = index.shape[0];
        shape[axis] = index.shape[1];
        return values.gather(axis, index.view(shape).expand(values.shape));
    }

    private Tensor Column(ImmutableArray<long> values) => tensor([.. values], [values.Length, 1], device: Device);
}
