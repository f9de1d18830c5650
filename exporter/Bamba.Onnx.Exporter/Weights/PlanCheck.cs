using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>Checks a plan against a checkpoint before a file is made.</summary>
internal static class PlanCheck
{
    /// <summary>The checkpoint tensors that a source reads.</summary>
    public static ImmutableArray<string> TensorsOf(WeightSource source) =>
        source switch
        {
            WeightSource.Copy copy => copy.Tensors,
            WeightSource.Transpose transpose => transpose.Tensors,
            WeightSource.Quantized quantized => quantized.Rows.Tensors,
            _ => [],
        };

    /// <exception cref="ArgumentException">An entry cannot be made from the tensors that it names.</exception>
    public static void RequireMatch(CheckpointFolder checkpoint, WeightPlan plan, StreamLimits limits)
    {
        foreach (WeightEntry entry in plan.Entries)
        {
            if (Problem(checkpoint, entry, limits) is { } problem)
            {
                throw new ArgumentException($"weight {entry.Name}: {problem}", nameof(plan));
            }
        }
    }

    private static string? Problem(CheckpointFolder checkpoint, WeightEntry entry, StreamLimits limits)
    {
        switch (entry.Source)
        {
            case WeightSource.Generated:
                return GeneratedProblem(entry, limits);
            case WeightSource.Accompanied:
                return null;
        }
        var tensors = new List<CheckpointTensor>();
        foreach (string name in TensorsOf(entry.Source))
        {
            if (!checkpoint.Tensors.TryGetValue(name, out CheckpointTensor? tensor))
            {
                return $"{checkpoint.Path} has no tensor {name}";
            }
            // Codes are chosen for float32 values.
            ElementType type = entry.Source is WeightSource.Quantized ? ElementType.Float32 : entry.Type;
            if (!ElementConversion.CanConvert(tensor.Type, type))
            {
                return $"tensor {name} is {tensor.Type.ShortName()}, which does not convert to {type.ShortName()}";
            }
            tensors.Add(tensor);
        }
        return entry.Source switch
        {
            WeightSource.Transpose => TransposeProblem(entry, tensors),
            WeightSource.Quantized quantized => QuantizedProblem(quantized.Rows, tensors, limits),
            _ => CopyProblem(entry, tensors),
        };
    }

    private static string? GeneratedProblem(WeightEntry entry, StreamLimits limits)
    {
        if (!ElementConversion.CanConvert(ElementType.Float32, entry.Type))
        {
            return $"generated values are float32, which does not convert to {entry.Type.ShortName()}";
        }
        int longest = limits.TileBytes / sizeof(float);
        return entry.Shape.IsEmpty || entry.Shape[^1] <= longest
            ? null
            : $"expected a last axis of at most {longest} for generated values, found {entry.Shape[^1]}";
    }

    private static string? CopyProblem(WeightEntry entry, List<CheckpointTensor> tensors)
    {
        long found = tensors.Sum(tensor => TensorShape.Elements(tensor.Shape));
        long expected = TensorShape.Elements(entry.Shape);
        return found == expected
            ? null
            : $"expected {expected} elements for {TensorShape.Text(entry.Shape)}, found {found}";
    }

    private static string? TransposeProblem(WeightEntry entry, List<CheckpointTensor> tensors)
    {
        if (entry.Shape.Length != 2)
        {
            return $"expected two axes of a transpose, found {TensorShape.Text(entry.Shape)}";
        }
        foreach (CheckpointTensor tensor in tensors)
        {
            if (tensor.Shape.Length != 2 || tensor.Shape[1] != entry.Shape[0])
            {
                return $"expected tensor {tensor.Name} to be [rows, {entry.Shape[0]}], found {TensorShape.Text(tensor.Shape)}";
            }
        }
        long rows = tensors.Sum(tensor => tensor.Shape[0]);
        return rows == entry.Shape[1] ? null : $"expected {entry.Shape[1]} rows to transpose, found {rows}";
    }

    private static string? QuantizedProblem(QuantizedRows rows, List<CheckpointTensor> tensors, StreamLimits limits)
    {
        foreach (CheckpointTensor tensor in tensors)
        {
            if (tensor.Shape.Length != 2 || tensor.Shape[1] != rows.Columns)
            {
                return $"expected tensor {tensor.Name} to be [rows, {rows.Columns}], found {TensorShape.Text(tensor.Shape)}";
            }
        }
        int longest = limits.TileBytes / sizeof(float);
        if (rows.Format.GroupsOf(rows.Columns) * rows.Format.GroupSize > longest)
        {
            return $"expected rows of at most {longest} columns to quantize, found {rows.Columns}";
        }
        long found = tensors.Sum(tensor => tensor.Shape[0]);
        return found == rows.Scales.Shape[0] ? null : $"expected {rows.Scales.Shape[0]} rows, found {found}";
    }
}
