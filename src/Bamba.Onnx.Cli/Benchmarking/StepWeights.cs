using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Cli.Benchmarking;

/// <summary>The weights that a step reads.</summary>
/// <param name="Bytes">Those that it reads whole, whatever the batch.</param>
/// <param name="BytesPerRow">A token's rows of the tables that are looked up only: an embedding that is no head, rotary angles.</param>
internal sealed record StepWeights(long Bytes, long BytesPerRow)
{
    public static StepWeights Of(ModelProto model)
    {
        HashSet<string> multiplied = [.. model.Graph.Node.Where(node => !LooksUp(node)).SelectMany(node => node.Input)];
        ILookup<bool, TensorProto> stored = model
            .Graph.Initializer.GroupBy(StoredWeights.PlaceOf)
            .ToLookup(
                tensors => tensors.Any(tensor => multiplied.Contains(tensor.Name) && !IsRotary(tensor)),
                tensors => tensors.First()
            );
        return new StepWeights(
            stored[true].Sum(StoredWeights.BytesOf),
            stored[false].Sum(table => StoredWeights.BytesOf(table) / table.Dims[0])
        );
    }

    private static bool LooksUp(NodeProto node) => node.OpType is "Gather" or "GatherBlockQuantized";

    // Attention takes them whole and looks positions up inside.
    private static bool IsRotary(TensorProto tensor) => tensor.Name.StartsWith("rotary_emb", StringComparison.Ordinal);
}
