using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>What a decoder layer and its mixer take.</summary>
public sealed record LayerInput
{
    /// <summary>[batch, tokens, hidden_size], real tokens first in each row.</summary>
    public required Tensor Hidden { get; init; }

    /// <summary>Which tokens are real, what each of them sees, and how many are cached.</summary>
    public required TokenLayout Layout { get; init; }

    /// <summary>The rotation of each token.</summary>
    public required RotaryAngles Angles { get; init; }

    /// <summary>What the layer carries from earlier calls, null for nothing.</summary>
    public LayerCache? Past { get; init; }

    /// <summary>Whether to return what it carries on.</summary>
    public bool UseCache { get; init; }

    /// <summary>Whether an attention layer returns its weights.</summary>
    public bool OutputAttentions { get; init; }
}

/// <summary>What a decoder layer and its mixer give.</summary>
/// <param name="Hidden">[batch, tokens, hidden_size].</param>
/// <param name="Present">What the layer carries on, if asked for.</param>
/// <param name="Attention">The weights of an attention layer, [batch, heads, tokens, keys], if asked for.</param>
public sealed record LayerOutput(Tensor Hidden, LayerCache? Present, Tensor? Attention)
{
    internal LayerOutput MoveToOuterDisposeScope()
    {
        foreach (Tensor tensor in (IEnumerable<Tensor>)[Hidden, .. Present?.Tensors ?? []])
        {
            tensor.MoveToOuterDisposeScope();
        }
        Attention?.MoveToOuterDisposeScope();
        return this;
    }
}
