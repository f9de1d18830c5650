using System.Globalization;
using System.Text.RegularExpressions;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Hub;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Cli.Inspection;

/// <summary>One graph of a model folder.</summary>
internal sealed partial record GraphInspection
{
    /// <summary>ONNX Runtime's first releases with what our graphs use.</summary>
    private static readonly Version WithOpset21 = new(1, 18, 0);

    // Partial rotation, ragged batches and continued prompts of GroupQueryAttention on the CPU provider, and its norms of
    // float16, which in 1.20.0 share a buffer among threads.
    private static readonly Version WithContinuedAttention = new(1, 20, 1);

    public required string Profile { get; init; }
    public required string File { get; init; }
    public required long Bytes { get; init; }
    public required long IrVersion { get; init; }
    public required IReadOnlyDictionary<string, long> Opsets { get; init; }
    public required int Nodes { get; init; }

    /// <summary>Nodes of the largest decoder layer; a call of a function counts one.</summary>
    public required int MaxNodesPerLayer { get; init; }

    /// <summary>Calls by domain and operator.</summary>
    public required IReadOnlyDictionary<string, IReadOnlyDictionary<string, int>> Operators { get; init; }

    public required IReadOnlyList<string> Functions { get; init; }
    public required IReadOnlyList<string> Inputs { get; init; }
    public required IReadOnlyList<string> Outputs { get; init; }

    public static GraphInspection Of(string folder, ExportLayout layout, GraphProfile profile, ModelProto model)
    {
        string name = layout.Graph(profile);
        return new GraphInspection
        {
            Profile = profile.ToString().ToLowerInvariant(),
            File = name,
            Bytes = LinkedFile.At(Path.Combine(folder, name))!.Length,
            IrVersion = model.IrVersion,
            Opsets = model.OpsetImport.ToDictionary(import => DomainName(import.Domain), import => import.Version),
            Nodes = model.Graph.Node.Count,
            MaxNodesPerLayer = MaxPerLayer(model.Graph),
            Operators = model
                .Graph.Node.GroupBy(node => DomainName(node.Domain))
                .ToDictionary(
                    domain => domain.Key,
                    IReadOnlyDictionary<string, int> (domain) =>
                        domain
                            .GroupBy(node => node.OpType)
                            .OrderByDescending(op => op.Count())
                            .ToDictionary(op => op.Key, op => op.Count())
                ),
            Functions = [.. model.Functions.Select(function => $"{function.Domain}::{function.Name}")],
            Inputs = [.. model.Graph.Input.Select(Describe)],
            Outputs = [.. model.Graph.Output.Select(Describe)],
        };
    }

    /// <summary>The first ONNX Runtime that runs a graph.</summary>
    public static Version MinimumOnnxRuntime(ModelProto model) =>
        model.Graph.Node.Any(node => node.OpType == "GroupQueryAttention") ? WithContinuedAttention : WithOpset21;

    /// <summary>Bytes of weights by element type.</summary>
    public static IReadOnlyDictionary<string, long> WeightBytesOf(IEnumerable<ModelProto> models) =>
        StoredWeights
            .Of(models)
            .GroupBy(tensor => TypeName(tensor.DataType))
            .ToDictionary(type => type.Key, type => type.Sum(StoredWeights.BytesOf));

    /// <summary>How many files the weights lie in.</summary>
    public static int WeightFilesOf(IEnumerable<ModelProto> models) =>
        StoredWeights.Of(models).Select(tensor => StoredWeights.PlaceOf(tensor).File).Distinct().Count();

    private static int MaxPerLayer(GraphProto graph) =>
        graph
            .Node.Select(node => LayerOfName().Match(node.Name + " " + node.Output[0]))
            .Where(match => match.Success)
            .GroupBy(match => match.Groups[1].Value)
            .Select(layer => layer.Count())
            .DefaultIfEmpty()
            .Max();

    private static string Describe(ValueInfoProto value)
    {
        TypeProto.Types.Tensor tensor = value.Type.TensorType;
        IEnumerable<string> axes = tensor.Shape.Dim.Select(dim =>
            dim.HasDimParam ? dim.DimParam : dim.DimValue.ToString(CultureInfo.InvariantCulture)
        );
        return $"{value.Name} {TypeName(tensor.ElemType)}[{string.Join(", ", axes)}]";
    }

    /// <summary>What users call an element type, by ONNX's number.</summary>
    public static string TypeName(int type) =>
        ElementTypeOf(type)?.ShortName() ?? ((DataType)type).ToString().ToLowerInvariant();

    /// <summary>The element type of ONNX's number; null for one that this project has none of.</summary>
    public static ElementType? ElementTypeOf(int type) =>
        Enum.GetValues<ElementType>()
            .Where(known => (int)known.ToOnnx() == type)
            .Select(known => (ElementType?)known)
            .FirstOrDefault();

    private static string DomainName(string domain) => domain.Length == 0 ? "ai.onnx" : domain;

    [GeneratedRegex(@"/layers\.(\d+)/")]
    private static partial Regex LayerOfName();
}
