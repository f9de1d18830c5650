using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>
/// Whether a cache's input and output may be one buffer. ONNX Runtime runs nodes in any order that their values allow, so that
/// whatever reads the past must come before the node that writes the present on a path of values, or be that node. A node that
/// is both is looked into where the file tells what it does: a call of a function, or a Scan.
/// </summary>
internal static class InPlaceRule
{
    /// <summary>Nodes whose result may be the very memory of their first input.</summary>
    private static readonly HashSet<string> Views = ["Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"];

    public static IEnumerable<ContractFinding> Find(ContractGraph graph)
    {
        Dictionary<(string, string), FunctionProto> functions = graph
            .Model!.Functions.DistinctBy(function => (function.Domain, function.Name))
            .ToDictionary(function => (function.Domain, function.Name));
        foreach (CacheSpec cache in graph.Signature.Caches)
        {
            // A growing cache is never written where it was read.
            if (!graph.Inputs.ContainsKey(cache.Past.Name) || !cache.Past.Axes.SequenceEqual(cache.Present.Axes))
            {
                continue;
            }
            string? late = LateReader(graph.Model.Graph.Node, cache.Past.Name, cache.Present.Name, functions);
            if (late is not null)
            {
                yield return graph.Finding(
                    cache.Past.Name,
                    $"no reader once {cache.Present.Name} may be written",
                    late
                );
            }
        }
    }

    /// <summary>A node that may read the past after the present was written; null where there is none.</summary>
    private static string? LateReader(
        IReadOnlyList<NodeProto> nodes,
        string past,
        string present,
        IReadOnlyDictionary<(string, string), FunctionProto> functions
    )
    {
        HashSet<string> pasts = Forward(nodes, past);
        NodeProto? writer = Writer(nodes, present);
        if (writer is null)
        {
            return pasts.Contains(present) ? null : $"{present} comes from no node";
        }
        HashSet<NodeProto> before = Ancestors(nodes, writer);
        foreach (NodeProto node in nodes)
        {
            bool reads = ValuesReadBy(node).Any(pasts.Contains) && !(IsView(node) && pasts.Contains(node.Output[0]));
            if (reads && node != writer && !before.Contains(node))
            {
                return $"{node.OpType} {NameOf(node)}";
            }
        }
        return Inside(writer, pasts, present, functions);
    }

    /// <summary>The same question inside the node that reads the past and writes the present.</summary>
    private static string? Inside(
        NodeProto writer,
        HashSet<string> pasts,
        string present,
        IReadOnlyDictionary<(string, string), FunctionProto> functions
    )
    {
        int from = writer.Input.ToList().FindIndex(pasts.Contains);
        int to = writer.Output.IndexOf(present);
        if (from < 0 || to < 0)
        {
            return null;
        }
        (IReadOnlyList<NodeProto> nodes, string? past, string? next) = (writer, functions) switch
        {
            _ when functions.TryGetValue((writer.Domain, writer.OpType), out FunctionProto? function) => (
                function.Node,
                function.Input.ElementAtOrDefault(from),
                function.Output.ElementAtOrDefault(to)
            ),
            ({ Domain: "", OpType: "Scan" }, _)
                when writer.Attribute.FirstOrDefault(attribute => attribute.Name == "body")?.G is { } body => (
                (IReadOnlyList<NodeProto>)body.Node,
                body.Input.ElementAtOrDefault(from)?.Name,
                body.Output.ElementAtOrDefault(to)?.Name
            ),
            _ => ([], null, null),
        };
        return past is null || next is null ? null
            : LateReader(nodes, past, next, functions) is { } late ? $"{late} in {writer.OpType} {NameOf(writer)}"
            : null;
    }

    /// <summary>A value and those that may lie in its memory.</summary>
    private static HashSet<string> Forward(IReadOnlyList<NodeProto> nodes, string value)
    {
        var same = new HashSet<string> { value };
        foreach (NodeProto node in nodes)
        {
            if (IsView(node) && same.Contains(node.Input[0]))
            {
                same.Add(node.Output[0]);
            }
        }
        return same;
    }

    /// <summary>The node that computes a value, which views may pass on; null for a value that no node computes.</summary>
    private static NodeProto? Writer(IReadOnlyList<NodeProto> nodes, string value)
    {
        NodeProto? writer = nodes.FirstOrDefault(node => node.Output.Contains(value));
        while (
            writer is not null
            && IsView(writer)
            && nodes.FirstOrDefault(node => node.Output.Contains(writer.Input[0])) is { } earlier
        )
        {
            writer = earlier;
        }
        return writer;
    }

    private static HashSet<NodeProto> Ancestors(IReadOnlyList<NodeProto> nodes, NodeProto last)
    {
        var makers = new Dictionary<string, NodeProto>();
        foreach (NodeProto node in nodes)
        {
            foreach (string output in node.Output)
            {
                makers.TryAdd(output, node);
            }
        }
        var seen = new HashSet<NodeProto>(ReferenceEqualityComparer.Instance);
        var left = new Stack<NodeProto>([last]);
        while (left.TryPop(out NodeProto? node))
        {
            foreach (string value in node.Input.Concat(Captured(node)))
            {
                if (makers.TryGetValue(value, out NodeProto? maker) && seen.Add(maker))
                {
                    left.Push(maker);
                }
            }
        }
        return seen;
    }

    /// <summary>The values whose elements a node reads: not of those of which it takes the shape or the type only.</summary>
    private static IEnumerable<string> ValuesReadBy(NodeProto node) =>
        (node.Domain, node.OpType) switch
        {
            ("", "Shape" or "Size") => [],
            ("", "CastLike") => node.Input.Take(1),
            _ => node.Input.Concat(Captured(node)),
        };

    /// <summary>The values that bodies of a node take from around it.</summary>
    private static IEnumerable<string> Captured(NodeProto node) =>
        node
            .Attribute.Where(attribute => attribute.G is not null)
            .SelectMany(attribute =>
                attribute
                    .G.Node.SelectMany(inner => inner.Input.Concat(Captured(inner)))
                    .Except(attribute.G.Node.SelectMany(inner => inner.Output))
                    .Except(attribute.G.Input.Select(input => input.Name))
            );

    private static bool IsView(NodeProto node) => node.Domain.Length == 0 && Views.Contains(node.OpType);

    private static string NameOf(NodeProto node) => node.Name.Length > 0 ? node.Name : node.Output[0];
}
