using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// The door of the graphs for other hosts: any attention mask becomes lengths. The call's real tokens move to the front of their row
/// in order, and hidden states move back at the exit.
/// </summary>
internal sealed class MaskDoor : TokenDoor
{
    private readonly Value ranks;
    private readonly Value pastLens;

    public MaskDoor(NodeBuilder g)
    {
        using IDisposable scope = g.Scope("mask");
        Value ids = new(TensorNames.InputIds);
        Value given = new(TensorNames.AttentionMask);
        Value total = g.Shape(given, 1, 2);
        Value length = g.Shape(ids, 1, 2);
        Value past = g.Sub(total, length);

        Value mask = g.Cast(g.CastToBool(given), ElementType.Int64);
        Value real = g.Slice(mask, past, total, 1);
        Value seqLens = g.ReduceSum(real, 1);
        // Not the sum of the past's own part: of none ONNX Runtime's CUDA provider makes no sum.
        pastLens = g.Sub(g.ReduceSum(mask, 1), seqLens);

        // Real tokens take the places 0 … n − 1 of their row in order, the others those behind them.
        Value realRank = g.Sub(g.CumSum(real, 1), g.Int(1));
        Value padding = g.Sub(g.Int(1), real);
        Value paddingRank = g.Sub(g.Add(g.CumSum(padding, 1), g.Unsqueeze(seqLens, 1)), g.Int(1));
        ranks = g.Where(g.CastToBool(real), realRank, paddingRank);

        InputIds = g.Node("ScatterElements", [ids, ranks, ids], NodeArgument.Int("axis", 1));
        SeqLens = g.Cast(seqLens, ElementType.Int32);
        AttentionLens = g.Add(g.Cast(pastLens, ElementType.Int32), LastOffset(g, length));
        TotalLength = g.Cast(g.Squeeze(total, 0), ElementType.Int32);
    }

    public override Value InputIds { get; }

    public override Value SeqLens { get; }

    public override Value AttentionLens { get; }

    public override Value TotalLength { get; }

    public override Value InInputOrder(NodeBuilder g, Value hidden) => g.GatherTokens(hidden, g.Unsqueeze(ranks, 2));

    protected override Value PastLens(NodeBuilder g) => pastLens;
}
