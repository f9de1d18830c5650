namespace Bamba.Onnx.Contract;

/// <summary>The doors of a model folder: graphs over one weights file that differ in how masks, lengths and caches enter.</summary>
public enum GraphProfile
{
    /// <summary><c>model.onnx</c>, for any ONNX Runtime host: an attention mask of any shape; key and value caches that grow.</summary>
    Portable,

    /// <summary><c>runtime.onnx</c>, for this library: lengths instead of a mask; key and value buffers of fixed capacity.</summary>
    Runtime,

    /// <summary>
    /// <c>onnx/model*.onnx</c>, for transformers.js: as <see cref="Portable"/>, but caches have the names that it looks for.
    /// </summary>
    Web,
}

/// <summary>The positions whose logits a graph returns.</summary>
public enum LogitsPositions
{
    /// <summary>Every position of the call.</summary>
    All,

    /// <summary>The last real token of each row.</summary>
    Last,
}

/// <summary>What the graphs of an export share and its caller chose.</summary>
public sealed record GraphOptions
{
    /// <summary>T, the element type of weights, activations, convolution states, keys and values.</summary>
    public ElementType Dtype { get; init; } = ElementType.Float32;

    /// <summary>Positions with logits; null for each profile's own habit: all of <c>portable</c>, the last of the others.</summary>
    public LogitsPositions? Logits { get; init; }

    /// <summary>Whether <c>hidden_states.{i}</c> outputs are added.</summary>
    public bool OutputHiddenStates { get; init; }

    /// <summary>The positions with logits in a graph of <paramref name="profile"/>.</summary>
    public LogitsPositions LogitsOf(GraphProfile profile) =>
        Logits ?? (profile == GraphProfile.Portable ? LogitsPositions.All : LogitsPositions.Last);
}
