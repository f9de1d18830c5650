using System.Globalization;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Cli.Inspection;

/// <summary>
/// Weights by where they are stored. Graphs of a folder refer to the same bytes, and so do two tensors of one graph where a tied
/// table in few bits is looked up and multiplied: operators want other axes for it.
/// </summary>
internal static class StoredWeights
{
    /// <summary>The tensors of graphs, the first of those that have the same bytes.</summary>
    public static IEnumerable<TensorProto> Of(IEnumerable<ModelProto> models) =>
        models.SelectMany(model => model.Graph.Initializer).DistinctBy(PlaceOf);

    /// <summary>The file of a tensor, without its folder, which depends on the graph's, and where its bytes begin there.</summary>
    public static (string File, long Offset) PlaceOf(TensorProto tensor) =>
        (Path.GetFileName(ValueOf(tensor, "location")), NumberOf(tensor, "offset"));

    /// <summary>What a tensor takes in the weights file.</summary>
    public static long BytesOf(TensorProto tensor) => NumberOf(tensor, "length");

    private static long NumberOf(TensorProto tensor, string key) =>
        long.Parse(ValueOf(tensor, key), CultureInfo.InvariantCulture);

    private static string ValueOf(TensorProto tensor, string key) =>
        tensor.ExternalData.Single(entry => entry.Key == key).Value;
}
