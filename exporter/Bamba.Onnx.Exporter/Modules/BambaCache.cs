using System.Collections.Immutable;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>What one layer carries from call to call.</summary>
public abstract record LayerCache
{
    private protected LayerCache() { }

    internal abstract IEnumerable<Tensor> Tensors { get; }

    internal abstract LayerCache SelectRows(Tensor rows);
}

/// <summary>The states of a Mamba layer.</summary>
/// <param name="ConvState">The last d_conv − 1 inputs of the convolution, oldest first, [batch, conv_dim, d_conv − 1], of the model's type.</param>
/// <param name="RecurrentState">The state of the scan, [batch, H, P, N], float32 at least.</param>
public sealed record MambaLayerCache(Tensor ConvState, Tensor RecurrentState) : LayerCache
{
    internal override IEnumerable<Tensor> Tensors => [ConvState, RecurrentState];

    internal override LayerCache SelectRows(Tensor rows) =>
        new MambaLayerCache(ConvState.index_select(0, rows), RecurrentState.index_select(0, rows));
}

/// <summary>
/// The past of an attention layer. A row's tokens are its first ones, without gaps; what is behind them in a longer
/// batch means nothing.
/// </summary>
/// <param name="Keys">Keys after rotation, [batch, kv_heads, longest row, head_dim].</param>
/// <param name="Values">Values, of the same shape.</param>
public sealed record AttentionLayerCache(Tensor Keys, Tensor Values) : LayerCache
{
    internal override IEnumerable<Tensor> Tensors => [Keys, Values];

    internal override LayerCache SelectRows(Tensor rows) =>
        new AttentionLayerCache(Keys.index_select(0, rows), Values.index_select(0, rows));
}

/// <summary>
/// The state of a batch after some tokens. A forward pass reads it and makes a new one, so one cache can be continued
/// in several ways; whoever got it disposes of it.
/// </summary>
public sealed class BambaCache : IDisposable
{
    internal BambaCache(ImmutableArray<long> lengths, ImmutableArray<LayerCache> layers)
    {
        Lengths = lengths;
        Layers = layers;
    }

    /// <summary>Real tokens of each row so far.</summary>
    public ImmutableArray<long> Lengths { get; }

    /// <summary>The cache of each layer.</summary>
    public ImmutableArray<LayerCache> Layers { get; }

    internal IEnumerable<Tensor> Tensors => Layers.SelectMany(layer => layer.Tensors);

    /// <summary>A new cache of the given rows, which may repeat or leave out some: what beam search needs.</summary>
    /// <param name="rows">Indices of rows.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such row.</exception>
    public BambaCache SelectRows(params ReadOnlySpan<int> rows)
    {
        foreach (int row in rows)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(row, nameof(rows));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(row, Lengths.Length, nameof(rows));
        }
        long[] indices = [.. rows];
        // Every layer has tensors of the same device.
        using Tensor index = tensor(indices, device: Tensors.First().device);
        return new BambaCache(
            [.. indices.Select(row => Lengths[(int)row])],
            [.. Layers.Select(l => l.SelectRows(index))]
        );
    }

    /// <summary>Hands the tensors from the current dispose scope to the one around it.</summary>
    /// <returns>This cache.</returns>
    public BambaCache MoveToOuterDisposeScope()
    {
        foreach (Tensor tensor in Tensors)
        {
            tensor.MoveToOuterDisposeScope();
        }
        return this;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor tensor in Tensors)
        {
            tensor.Dispose();
        }
    }
}
