using System.Globalization;
using Bamba.Onnx.Cli.Inspection;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>A graph's inputs and outputs, held against the signature of its profile. Each rule leaves to the one before what that one finds.</summary>
internal static class SignatureRules
{
    /// <summary>The rules of a profile, which protect the host that takes its graph.</summary>
    public static IEnumerable<ContractRule> Of(GraphProfile profile, ContractHost host)
    {
        string graph = $"the graph of profile {ContractFolder.NameOf(profile)}";
        return
        [
            Rule("names", host, $"{graph} has the inputs and outputs that the host looks for, and no others", Names),
            Rule("types", host, $"{graph} takes and gives the element types that the host binds", Types),
            Rule("ranks", host, $"{graph} takes and gives tensors of as many axes as the host has", Ranks),
            Rule("sizes", host, $"{graph} has constant axes where the model has, and as long", Sizes),
            Rule("symbols", host | ContractHost.OnnxRuntime, Symbols(profile), WrongSymbols),
        ];

        ContractRule Rule(
            string id,
            ContractHost hosts,
            string requirement,
            Func<ContractGraph, IEnumerable<ContractFinding>> find
        ) =>
            new(
                $"{ContractFolder.NameOf(profile)}.{id}",
                hosts,
                requirement,
                folder => folder.WithoutGraph(profile),
                folder => find(folder.Graphs[profile])
            );
    }

    private static string Symbols(GraphProfile profile) =>
        profile == GraphProfile.Web
            ? "the symbol of rows is literally batch_size, which transformers.js fills in to make the first caches; others become 0"
            : "axes have one symbol where they are as long in every call, by which ONNX Runtime plans memory";

    private static IEnumerable<ContractFinding> Names(ContractGraph graph) =>
        [
            .. Differences(graph, "input", graph.Signature.Inputs, graph.Model!.Graph.Input),
            .. Differences(graph, "output", graph.Signature.Outputs, graph.Model!.Graph.Output),
        ];

    private static IEnumerable<ContractFinding> Differences(
        ContractGraph graph,
        string kind,
        IEnumerable<TensorSpec> wanted,
        IEnumerable<ValueInfoProto> found
    )
    {
        string[] missing = [.. wanted.Select(spec => spec.Name).Except(found.Select(value => value.Name))];
        string[] surplus = [.. found.Select(value => value.Name).Except(wanted.Select(spec => spec.Name))];
        // A renamed tensor is one difference: what is missing stands beside what is there instead.
        for (int i = 0; i < Math.Max(missing.Length, surplus.Length); i++)
        {
            yield return graph.Finding(
                $"{kind}s",
                i < missing.Length ? missing[i] : $"no further {kind}",
                i < surplus.Length ? surplus[i] : $"no such {kind}"
            );
        }
    }

    private static IEnumerable<ContractFinding> Types(ContractGraph graph) =>
        graph
            .Tensors.Where(pair => pair.Found.Type?.TensorType?.ElemType != (int)pair.Wanted.Type.ToOnnx())
            .Select(pair =>
                graph.Finding(
                    pair.Wanted.Name,
                    pair.Wanted.Type.ShortName(),
                    GraphInspection.TypeName(pair.Found.Type?.TensorType?.ElemType ?? 0)
                )
            );

    private static IEnumerable<ContractFinding> Ranks(ContractGraph graph) =>
        graph
            .Tensors.Where(pair => AxesOf(pair.Found).Length != pair.Wanted.Axes.Length)
            .Select(pair => graph.Finding(pair.Wanted.Name, List(pair.Wanted.Axes), List(AxesOf(pair.Found))));

    private static IEnumerable<ContractFinding> Sizes(ContractGraph graph) =>
        // GenAI has a rule of its own for states, since it makes those of all layers alike.
        SameRank(graph)
            .Where(pair => graph.Profile != GraphProfile.Portable || !IsState(graph, pair.Wanted))
            .Where(pair => pair.Wanted.Axes.Zip(pair.Found).Any(axes => SizeDiffers(axes.First, axes.Second)))
            .Select(pair => graph.Finding(pair.Wanted.Name, List(pair.Wanted.Axes), List(pair.Found)));

    private static IEnumerable<ContractFinding> WrongSymbols(ContractGraph graph) =>
        SameRank(graph)
            .Where(pair => pair.Wanted.Axes.Zip(pair.Found).Any(axes => SymbolDiffers(axes.First, axes.Second)))
            .Select(pair => graph.Finding(pair.Wanted.Name, List(pair.Wanted.Axes), List(pair.Found)));

    private static IEnumerable<(TensorSpec Wanted, Axis[] Found)> SameRank(ContractGraph graph) =>
        graph
            .Tensors.Select(pair => (pair.Wanted, Found: AxesOf(pair.Found)))
            .Where(pair => pair.Wanted.Axes.Length == pair.Found.Length);

    /// <summary>Whether a tensor is a state of a Mamba layer, coming or going.</summary>
    public static bool IsState(ContractGraph graph, TensorSpec tensor) =>
        graph.Signature.Caches.Any(cache =>
            cache.Kind is CacheKind.ConvState or CacheKind.RecurrentState
            && (cache.Past.Name == tensor.Name || cache.Present.Name == tensor.Name)
        );

    /// <summary>The axes of an input or output; an axis of neither size nor symbol has the symbol "?".</summary>
    public static Axis[] AxesOf(ValueInfoProto value) =>
        [
            .. (value.Type?.TensorType?.Shape?.Dim ?? []).Select(dim =>
                dim.HasDimValue ? new Axis(dim.DimValue, null) : (Axis)(dim.HasDimParam ? dim.DimParam : "?")
            ),
        ];

    /// <summary>Axes as they are written in graphs.</summary>
    public static string List(IEnumerable<Axis> axes) =>
        string.Create(CultureInfo.InvariantCulture, $"[{string.Join(", ", axes)}]");

    private static bool SizeDiffers(Axis wanted, Axis found) =>
        wanted.Symbol is null != found.Symbol is null || (wanted.Symbol is null && wanted.Size != found.Size);

    private static bool SymbolDiffers(Axis wanted, Axis found) =>
        wanted.Symbol is not null && found.Symbol is not null && wanted.Symbol != found.Symbol;
}
