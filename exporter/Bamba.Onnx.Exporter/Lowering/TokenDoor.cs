using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// What stands between a graph's inputs and the model: masks and paddings end here. Behind the door each row's real tokens
/// come first, and layers know lengths only.
/// </summary>
/// <remarks>
/// Sizes that a graph takes from shapes lie on the host, and so does what ONNX Runtime's CUDA provider computes of them alone.
/// Where such a value meets a tensor of the device as an operand, ONNX Runtime copies one to the other, which costs a wait and
/// which no CUDA graph can hold. So they reach the device only through inputs that the provider's kernels read on the host:
/// shapes, bounds of Slice, the total of GroupQueryAttention, and the bounds of Range, which counts on the device.
/// </remarks>
internal abstract class TokenDoor
{
    /// <summary>Tokens, real ones first, [batch, length] int64.</summary>
    public abstract Value InputIds { get; }

    /// <summary>Real tokens of each row in this call, [batch] int32.</summary>
    public abstract Value SeqLens { get; }

    /// <summary>Real tokens of each row in its caches, [batch] int64.</summary>
    protected abstract Value PastLens(NodeBuilder g);

    /// <summary>
    /// What <c>GroupQueryAttention</c> calls seqlens_k: the tokens in a row's cache after this call, less one, [batch] int32.
    /// It counts the call's padding as tokens: they come last, so no real token attends to them, and the next call's keys
    /// overwrite theirs. With the real count the operator would take the call to start earlier than it does.
    /// </summary>
    public abstract Value AttentionLens { get; }

    /// <summary>The tokens that keys and values span in this call, int32 scalar, from shapes alone so that it stays on the host.</summary>
    public abstract Value TotalLength { get; }

    /// <summary>Hidden states in the order of the inputs, [batch, length, hidden].</summary>
    public abstract Value InInputOrder(NodeBuilder g, Value hidden);

    /// <summary>The position of every token in its sequence, [batch, length] int64.</summary>
    public Value Positions(NodeBuilder g)
    {
        using IDisposable scope = g.RootScope("positions");
        Value offsets = g.Range(g.Squeeze(g.Shape(InputIds, 1, 2), 0));
        return g.Add(g.Unsqueeze(PastLens(g), 1), offsets);
    }

    /// <summary>The hidden state of each row's last real token, [batch, 1, hidden].</summary>
    public Value OfLastToken(NodeBuilder g, Value hidden, int hiddenSize)
    {
        Value last = g.Max(g.Sub(g.Cast(SeqLens, ElementType.Int64), g.Int(1)), g.Int(0));
        // Where each row starts among all tokens: Range brings the sizes to the device. GatherND, which needs no starts, copies
        // sizes to the device itself.
        Value length = g.Squeeze(g.Shape(InputIds, 1, 2), 0);
        Value starts = g.RangeOf(g.Int(0), g.Mul(g.Squeeze(g.Shape(InputIds, 0, 1), 0), length), length);
        return g.Gather(g.Reshape(hidden, -1, hiddenSize), g.Unsqueeze(g.Add(starts, last), 1));
    }

    /// <summary>The place of the call's last token in it, padding included, int32 scalar, on the device.</summary>
    /// <param name="g">Appends nodes.</param>
    /// <param name="length">The call's tokens, a vector of one int64, from a shape.</param>
    protected static Value LastOffset(NodeBuilder g, Value length) =>
        g.Gather(g.RangeOf(g.Int32(0), g.Squeeze(g.Cast(length, ElementType.Int32), 0), g.Int32(1)), g.Int(-1));

    /// <summary>Opens the door of a profile.</summary>
    /// <param name="g">Appends the door's nodes.</param>
    /// <param name="profile">The profile.</param>
    /// <param name="keys">A key cache of the model, whose length is the buffers' capacity; null without attention layers.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="profile"/> is not a defined value.</exception>
    public static TokenDoor Open(NodeBuilder g, GraphProfile profile, Value? keys) =>
        profile switch
        {
            GraphProfile.Portable or GraphProfile.Web => new MaskDoor(g),
            GraphProfile.Runtime => new LengthDoor(g, keys),
            _ => throw new ArgumentOutOfRangeException(nameof(profile), profile, null),
        };
}
