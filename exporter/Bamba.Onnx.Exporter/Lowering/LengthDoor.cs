using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>The door of <c>runtime.onnx</c>: lengths come in as they are, keys and values lie in buffers of fixed capacity.</summary>
internal sealed class LengthDoor : TokenDoor
{
    public LengthDoor(NodeBuilder g, Value? keys)
    {
        using IDisposable scope = g.Scope("lengths");
        Value batch = g.Shape(InputIds, 0, 1);
        Value length = g.Shape(InputIds, 1, 2);
        AttentionLens = g.Add(new Value(TensorNames.PastLens), LastOffset(g, length));

        // GroupQueryAttention takes a call whose tokens are the total for a fresh prompt, and only so accepts several tokens
        // of several rows. One row, or one token a row, may lie anywhere in the buffer: its total is the capacity. All of it
        // follows from shapes, so that nothing has to come back from a device.
        Value capacity = keys is { } buffer ? g.Shape(buffer, 2, 3) : length;
        Value ragged = g.Node("And", [g.Greater(batch, g.Ints(1)), g.Greater(length, g.Ints(1))]);
        TotalLength = g.Cast(g.Squeeze(g.Where(ragged, length, capacity), 0), ElementType.Int32);
    }

    public override Value InputIds { get; } = new(TensorNames.InputIds);

    public override Value SeqLens { get; } = new(TensorNames.SeqLens);

    public override Value AttentionLens { get; }

    public override Value TotalLength { get; }

    public override Value InInputOrder(NodeBuilder g, Value hidden) => hidden;

    protected override Value PastLens(NodeBuilder g) => g.Cast(new Value(TensorNames.PastLens), ElementType.Int64);
}
