using System.Collections.Immutable;
using System.Globalization;

namespace Bamba.Onnx.Contract;

/// <summary>One axis of a tensor: a constant size, or a symbol that each call gives a size.</summary>
/// <param name="Size">The size of a constant axis.</param>
/// <param name="Symbol">The name of a symbolic axis, else null.</param>
public readonly record struct Axis(long Size, string? Symbol)
{
    /// <summary>A constant axis.</summary>
    public static implicit operator Axis(int size) => new(size, null);

    /// <summary>A symbolic axis.</summary>
    public static implicit operator Axis(string symbol) => new(-1, symbol);

    /// <inheritdoc/>
    public override string ToString() => Symbol ?? Size.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A named input or output of a graph.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Axes">Its axes, outermost first.</param>
public sealed record TensorSpec(string Name, ElementType Type, ImmutableArray<Axis> Axes)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Name} {Type.ShortName()}[{string.Join(", ", Axes)}]";
}

/// <summary>A cache: the input that brings it and the output that takes it on, of one shape but for a growing axis.</summary>
/// <param name="Layer">The decoder layer that owns it.</param>
/// <param name="Kind">Which of the layer's caches.</param>
/// <param name="Past">The input.</param>
/// <param name="Present">The output.</param>
public sealed record CacheSpec(int Layer, CacheKind Kind, TensorSpec Past, TensorSpec Present);

/// <summary>The caches that layers carry from call to call.</summary>
public enum CacheKind
{
    /// <summary>The last K − 1 inputs of the causal convolution, [batch, conv_dim, d_conv − 1], oldest first, type T.</summary>
    ConvState,

    /// <summary>The state of the scan, [batch, heads, head_dim, state_size], float32.</summary>
    RecurrentState,

    /// <summary>Keys after rotation, [batch, kv_heads, tokens, head_dim], type T.</summary>
    Key,

    /// <summary>Values, [batch, kv_heads, tokens, head_dim], type T.</summary>
    Value,
}
