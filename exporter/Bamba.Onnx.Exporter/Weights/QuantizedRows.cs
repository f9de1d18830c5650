using System.Collections.Immutable;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>What a quantized matrix is made of, and where its parts go.</summary>
/// <param name="Name">What the matrix is called.</param>
/// <param name="Tensors">Checkpoint matrices of as many columns, one behind another along the rows.</param>
/// <param name="Columns">Columns of each.</param>
/// <param name="Format">Bits, groups and zero points.</param>
/// <param name="Scales">[rows, groups].</param>
/// <param name="ZeroPoints">The zero points, where there are any.</param>
internal sealed record QuantizedRows(
    string Name,
    ImmutableArray<string> Tensors,
    long Columns,
    WeightQuantization Format,
    WeightEntry Scales,
    WeightEntry? ZeroPoints
)
{
    /// <summary>The files that the parts lie in, of which codes have an entry of their own.</summary>
    public IEnumerable<int> ShardsWith(WeightEntry codes) =>
        new[] { Scales, ZeroPoints, codes }.OfType<WeightEntry>().Select(entry => entry.Shard).Distinct();
}
