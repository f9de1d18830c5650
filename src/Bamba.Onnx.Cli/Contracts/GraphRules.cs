using System.Globalization;
using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>What any ONNX Runtime needs of every graph of a folder.</summary>
internal static class GraphRules
{
    /// <summary>ONNX's own domain, which has no name in files.</summary>
    private const string Standard = "";
    private const string Contrib = "com.microsoft";

    /// <summary>The newest that ONNX Runtime 1.20 takes, the oldest release that runs our graphs.</summary>
    private const long NewestIr = 10;

    private static readonly Dictionary<string, long> NewestOpsets = new()
    {
        [Standard] = StandardOps.Opset,
        [Contrib] = 1,
        [Mamba2ChunkScanOp.Domain] = Mamba2ChunkScanOp.Version,
    };

    /// <summary>
    /// Operators of ONNX Runtime's own that every release from 1.20 has; a newer one needs a function in the file, which the
    /// Node backend of transformers.js, at 1.24, then runs.
    /// </summary>
    private static readonly HashSet<string> KnownContribs =
    [
        "GroupQueryAttention",
        "MatMulNBits",
        "GatherBlockQuantized",
        "SkipSimplifiedLayerNormalization",
    ];

    public static IEnumerable<ContractRule> All =>
        [
            Rule("graphs.readable", "every graph of the export is there and is ONNX", _ => null, Readable),
            Rule(
                "graphs.opsets",
                $"IR version at most {NewestIr}, opsets that ONNX Runtime 1.20 knows, and one for each domain in use",
                NoGraph,
                folder => folder.ReadableGraphs.SelectMany(Opsets)
            ),
            Rule(
                "graphs.operators",
                "every operator is ONNX's, an old one of ONNX Runtime, or has a function in the file: browsers load no libraries",
                NoGraph,
                folder => folder.ReadableGraphs.SelectMany(Operators),
                ContractHost.OnnxRuntime | ContractHost.TransformersJs
            ),
            Rule(
                "graphs.in-place",
                "a cache's past and present may share memory: nothing reads the past once the present may be written",
                NoGraph,
                folder => folder.ReadableGraphs.SelectMany(InPlaceRule.Find),
                ContractHost.OnnxRuntime | ContractHost.GenAI | ContractHost.BambaOnnx
            ),
            Rule(
                "weights.files",
                "files that graphs refer to lie in the graph's folder or below it, where ONNX Runtime follows",
                NoWeights,
                folder => folder.ReadableGraphs.SelectMany(graph => WeightFiles(folder, graph))
            ),
            Rule(
                "weights.ranges",
                "weights lie within their file and are as long as their type and shape say",
                NoWeights,
                folder => folder.ReadableGraphs.SelectMany(graph => WeightRanges(folder, graph))
            ),
        ];

    private static ContractRule Rule(
        string id,
        string requirement,
        Func<ContractFolder, string?> inapplicable,
        Func<ContractFolder, IEnumerable<ContractFinding>> find,
        ContractHost hosts = ContractHost.OnnxRuntime
    ) => new(id, hosts, requirement, inapplicable, find);

    private static string? NoGraph(ContractFolder folder) =>
        folder.ReadableGraphs.Any() ? null : "no graph can be read";

    private static string? NoWeights(ContractFolder folder) =>
        folder.Manifest.Options.Weights ? NoGraph(folder) : "exported without weights";

    private static IEnumerable<ContractFinding> Readable(ContractFolder folder) =>
        folder
            .Graphs.Values.Where(graph => graph.Problem is not null)
            .Select(graph => new ContractFinding(
                graph.File,
                $"the graph of profile {ContractFolder.NameOf(graph.Profile)}",
                graph.Problem!
            ));

    private static IEnumerable<ContractFinding> Opsets(ContractGraph graph)
    {
        ModelProto model = graph.Model!;
        if (model.IrVersion is < 1 or > NewestIr)
        {
            yield return graph.Finding("IR version", $"at most {NewestIr}", Text(model.IrVersion));
        }
        foreach (OperatorSetIdProto import in model.OpsetImport)
        {
            if (NewestOpsets.TryGetValue(import.Domain, out long newest) && import.Version > newest)
            {
                yield return graph.Finding($"opset {NameOf(import.Domain)}", $"at most {newest}", Text(import.Version));
            }
        }
        IEnumerable<string> used = model.Graph.Node.Select(node => node.Domain).Distinct();
        foreach (string domain in used.Except(model.OpsetImport.Select(import => import.Domain)))
        {
            yield return graph.Finding($"opset {NameOf(domain)}", "a version", "no import of a domain in use");
        }
    }

    private static IEnumerable<ContractFinding> Operators(ContractGraph graph)
    {
        ModelProto model = graph.Model!;
        HashSet<(string, string)> functions = [.. model.Functions.Select(function => (function.Domain, function.Name))];
        return model
            .Graph.Node.Concat(model.Functions.SelectMany(function => function.Node))
            .SelectMany(WithBodies)
            .Where(node => node.Domain != Standard && !functions.Contains((node.Domain, node.OpType)))
            .Where(node => node.Domain != Contrib || !KnownContribs.Contains(node.OpType))
            .Select(node => $"{node.Domain}::{node.OpType}")
            .Distinct()
            .Select(name => graph.Finding(name, "a function in the file", "none"));
    }

    /// <summary>A node, and those of the bodies of loops that it is.</summary>
    private static IEnumerable<NodeProto> WithBodies(NodeProto node) =>
        node
            .Attribute.Where(attribute => attribute.G is not null)
            .SelectMany(attribute => attribute.G.Node)
            .SelectMany(WithBodies)
            .Prepend(node);

    private static IEnumerable<ContractFinding> WeightFiles(ContractFolder folder, ContractGraph graph)
    {
        const string Expected = "a file in the graph's folder or below it";
        foreach (
            string location in ExternalTensors(graph).Select(tensor => External(tensor, "location") ?? "").Distinct()
        )
        {
            bool leaves = Path.IsPathRooted(location) || location.Split('/', '\\').Contains("..");
            if (location.Length == 0 || leaves || folder.BytesOf(Beside(graph, location)) is null)
            {
                string found =
                    leaves || location.Length == 0 ? $"\"{location}\"" : $"\"{location}\", which is not there";
                yield return graph.Finding("weights", Expected, found);
            }
        }
    }

    private static IEnumerable<ContractFinding> WeightRanges(ContractFolder folder, ContractGraph graph)
    {
        foreach (TensorProto tensor in ExternalTensors(graph))
        {
            if (
                External(tensor, "location") is not { } location
                || folder.BytesOf(Beside(graph, location)) is not { } size
            )
            {
                continue;
            }
            long offset = Number(tensor, "offset") ?? 0;
            long length = Number(tensor, "length") ?? size - offset;
            long? wanted = BytesOf(tensor);
            if (wanted is not null && wanted != length)
            {
                yield return graph.Finding(tensor.Name, $"{wanted} bytes by type and shape", $"{length} bytes");
            }
            else if (offset < 0 || offset > size - length)
            {
                yield return graph.Finding(
                    tensor.Name,
                    $"bytes within the {size} of {location}",
                    $"{length} bytes from {offset} on"
                );
            }
        }
    }

    private static IEnumerable<TensorProto> ExternalTensors(ContractGraph graph) =>
        graph.Model!.Graph.Initializer.Where(tensor => tensor.DataLocation == DataLocation.External);

    private static string Beside(ContractGraph graph, string location) =>
        Path.Combine(Path.GetDirectoryName(graph.File) ?? "", location);

    private static string? External(TensorProto tensor, string key) =>
        tensor.ExternalData.FirstOrDefault(entry => entry.Key == key)?.Value;

    private static long? Number(TensorProto tensor, string key) =>
        long.TryParse(External(tensor, key), NumberStyles.Integer, CultureInfo.InvariantCulture, out long value)
            ? value
            : null;

    /// <summary>What a tensor takes; null for an element type that this project has none of.</summary>
    private static long? BytesOf(TensorProto tensor) =>
        GraphInspection.ElementTypeOf(tensor.DataType) is { } type
            ? tensor.Dims.Aggregate((long)type.SizeInBytes(), (product, size) => product * size)
            : null;

    private static string NameOf(string domain) => domain.Length == 0 ? "ai.onnx" : domain;

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
