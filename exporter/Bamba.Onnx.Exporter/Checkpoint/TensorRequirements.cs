using System.Collections.Immutable;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>Compares the tensors of a checkpoint with those that a model needs.</summary>
internal static class TensorRequirements
{
    private const int MostNamed = 3;

    // Loaders compute the rotary frequencies from the configuration; some writers store them all the same.
    private const string IgnoredSuffix = "rotary_emb.inv_freq";

    /// <summary>What is wrong, in one sentence for each kind of problem, or null.</summary>
    /// <param name="tensors">What the checkpoint has.</param>
    /// <param name="expected">What the model needs.</param>
    /// <param name="isTied">Whether the output head is the embedding table.</param>
    public static string? Problem(
        IReadOnlyDictionary<string, CheckpointTensor> tensors,
        IReadOnlyDictionary<string, ImmutableArray<long>> expected,
        bool isTied
    )
    {
        List<string> missing =
        [
            .. expected.Keys.Where(name => !tensors.ContainsKey(name) && !(isTied && name == BambaTensors.LmHead)),
        ];
        var unknown = new List<string>();
        var wrong = new List<string>();
        foreach (CheckpointTensor tensor in tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            if (ShapeOf(tensor.Name, expected, isTied) is { } shape)
            {
                AddIfWrong(wrong, tensor, shape);
            }
            else if (!tensor.Name.EndsWith(IgnoredSuffix, StringComparison.Ordinal))
            {
                unknown.Add(tensor.Name);
            }
        }
        string[] problems =
        [
            .. Listed("missing", missing),
            .. Listed("not part of the model that config.json describes", unknown),
            .. Listed("unlike what config.json describes", wrong),
        ];
        return problems.Length == 0 ? null : string.Join("; ", problems);
    }

    private static ImmutableArray<long>? ShapeOf(
        string name,
        IReadOnlyDictionary<string, ImmutableArray<long>> expected,
        bool isTied
    )
    {
        string key =
            isTied && name == BambaTensors.LmHead && !expected.ContainsKey(name) ? BambaTensors.Embedding : name;
        return expected.TryGetValue(key, out ImmutableArray<long> shape) ? shape : null;
    }

    private static void AddIfWrong(List<string> wrong, CheckpointTensor tensor, ImmutableArray<long> shape)
    {
        if (!tensor.Shape.SequenceEqual(shape))
        {
            wrong.Add($"{tensor.Name} (expected {TensorShape.Text(shape)}, found {TensorShape.Text(tensor.Shape)})");
        }
        else if (tensor.Type is not (ElementType.Float32 or ElementType.Float16 or ElementType.BFloat16))
        {
            wrong.Add($"{tensor.Name} (expected f32, f16 or bf16, found {tensor.Type.ShortName()})");
        }
    }

    private static string[] Listed(string what, List<string> items)
    {
        if (items.Count == 0)
        {
            return [];
        }
        string rest = items.Count > MostNamed ? $" and {items.Count - MostNamed} more" : "";
        string noun = items.Count == 1 ? "tensor" : "tensors";
        return [$"{items.Count} {noun} {what}: {string.Join(", ", items.Take(MostNamed))}{rest}"];
    }
}
