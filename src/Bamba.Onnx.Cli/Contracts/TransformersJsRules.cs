using System.Globalization;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>What transformers.js, from 4.2 on, needs besides a right graph: a configuration that it knows, and files where it looks.</summary>
internal static class TransformersJsRules
{
    // What its list of models calls a hybrid of the same caches, since it knows no Bamba.
    private const string HybridType = "granitemoehybrid";
    private const string HybridClass = "GraniteMoeHybridForCausalLM";
    private const string OwnKey = "transformers.js_config";

    private static readonly string[] Tokens = ["bos_token_id", "eos_token_id", "pad_token_id"];

    public static IEnumerable<ContractRule> All =>
        [
            new(
                "web.config",
                ContractHost.TransformersJs,
                "config.json is strict JSON: JavaScript reads no bare Infinity",
                folder => folder.WithoutProfile(GraphProfile.Web),
                folder => folder.HubConfig.Problem is null ? [] : [folder.HubConfig.Finding("strict JSON")]
            ),
            Rule(
                "web.type",
                "config.json says granitemoehybrid, whose caches have the names of the graph",
                folder =>
                    [
                        .. folder.HubConfig.Expect($"\"{HybridType}\"", "model_type"),
                        .. folder.HubConfig.ItemsAt("architectures").Any(item => item.ToString() == HybridClass)
                            ? Array.Empty<ContractFinding>()
                            : [folder.HubConfig.Finding($"a list with \"{HybridClass}\"", "architectures")],
                    ]
            ),
            Rule(
                "web.layers",
                "config.json lists the kind of every layer: without the list both kinds of cache are expected in each",
                Layers
            ),
            Rule("web.shape", "config.json says the sizes that caches are made from; there are no defaults", Sizes),
            Rule(
                "web.tokens",
                "config.json has a begin, an end and a pad token",
                folder =>
                    Tokens
                        .Where(key => folder.HubConfig.IntegerAt(key) is null && !folder.HubConfig.ItemsAt(key).Any())
                        .Select(key => folder.HubConfig.Finding("a token", key))
            ),
            Rule(
                "web.attention",
                "at least one layer attends: the length of the past is read from its keys",
                folder =>
                    folder.Config.Layers.Contains(LayerKind.Attention)
                        ? []
                        : [new ContractFinding(ModelFiles.Config, "an attention layer", "Mamba layers only")]
            ),
            Rule(
                "web.dtype",
                "the type in config.json is the one that ends the name of the graph's file",
                folder =>
                    folder.HubConfig.Expect($"\"{folder.Manifest.Layout.WebDtype!.Value.Name()}\"", OwnKey, "dtype")
            ),
            Graph(
                "web.data-names",
                "the graph's weights are in files called as the graph, with _data, _data_1, … behind",
                folder => DataNames(folder.Graphs[GraphProfile.Web])
            ),
            Graph(
                "web.data-count",
                $"config.json says how many files of weights the graph has, at most {ExportLayout.MostWebFiles}, and each is fetched",
                DataCount
            ),
            Graph(
                "web.data-size",
                "no file of weights has more bytes than a browser's largest buffer, 2 GiB less 2 MiB",
                DataSize
            ),
        ];

    private static ContractRule Rule(
        string id,
        string requirement,
        Func<ContractFolder, IEnumerable<ContractFinding>> find
    ) => Rule(id, requirement, folder => folder.WithoutProfile(GraphProfile.Web), find);

    private static ContractRule Graph(
        string id,
        string requirement,
        Func<ContractFolder, IEnumerable<ContractFinding>> find
    ) => Rule(id, requirement, folder => folder.WithoutGraph(GraphProfile.Web), find);

    private static ContractRule Rule(
        string id,
        string requirement,
        Func<ContractFolder, string?> without,
        Func<ContractFolder, IEnumerable<ContractFinding>> find
    ) => new(id, ContractHost.TransformersJs, requirement, folder => without(folder) ?? Unreadable(folder), find);

    private static string? Unreadable(ContractFolder folder) =>
        folder.HubConfig.Problem is null ? null : $"{folder.HubConfig.File} cannot be read";

    private static IEnumerable<ContractFinding> Layers(ContractFolder folder)
    {
        string[] wanted = [.. folder.Config.Layers.Select(kind => kind == LayerKind.Attention ? "attention" : "mamba")];
        if (!folder.HubConfig.ItemsAt("layer_types").Select(item => item.ToString()).SequenceEqual(wanted))
        {
            yield return folder.HubConfig.Finding($"{string.Join(", ", wanted.Take(3))}, …", "layer_types");
        }
    }

    private static IEnumerable<ContractFinding> Sizes(ContractFolder folder)
    {
        BambaConfig config = folder.Config;
        (string Key, int Size)[] sizes =
        [
            ("num_hidden_layers", config.Layers.Length),
            ("num_attention_heads", config.NumAttentionHeads),
            ("num_key_value_heads", config.NumKeyValueHeads),
            ("head_dim", config.HeadDim),
            ("vocab_size", config.VocabSize),
        ];
        return sizes.SelectMany(size =>
            folder.HubConfig.Expect(size.Size.ToString(CultureInfo.InvariantCulture), size.Key)
        );
    }

    private static IEnumerable<ContractFinding> DataNames(ContractGraph graph)
    {
        string[] found = DataFiles(graph);
        string[] wanted = [.. found.Select((_, i) => $"{Path.GetFileName(graph.File)}_data{(i == 0 ? "" : $"_{i}")}")];
        if (!found.SequenceEqual(wanted, StringComparer.Ordinal))
        {
            yield return graph.Finding("weights", string.Join(", ", wanted), string.Join(", ", found));
        }
    }

    private static IEnumerable<ContractFinding> DataCount(ContractFolder folder)
    {
        ContractGraph graph = folder.Graphs[GraphProfile.Web];
        int found = DataFiles(graph).Length;
        return found > ExportLayout.MostWebFiles
            ?
            [
                graph.Finding(
                    "weights",
                    $"at most {ExportLayout.MostWebFiles} files",
                    found.ToString(CultureInfo.InvariantCulture)
                ),
            ]
            : folder.HubConfig.Expect(
                found.ToString(CultureInfo.InvariantCulture),
                OwnKey,
                "use_external_data_format",
                Path.GetFileName(graph.File)
            );
    }

    private static IEnumerable<ContractFinding> DataSize(ContractFolder folder) =>
        DataFiles(folder.Graphs[GraphProfile.Web])
            .Select(name => $"{ExportLayout.WebFolder}/{name}")
            .Where(file => folder.BytesOf(file) > ExportLayout.MostWebFileBytes)
            .Select(file => new ContractFinding(
                file,
                string.Create(CultureInfo.InvariantCulture, $"at most {ExportLayout.MostWebFileBytes} bytes"),
                string.Create(CultureInfo.InvariantCulture, $"{folder.BytesOf(file)} bytes")
            ));

    private static string[] DataFiles(ContractGraph graph) =>
        [
            .. graph
                .Model!.Graph.Initializer.SelectMany(tensor => tensor.ExternalData)
                .Where(entry => entry.Key == "location")
                .Select(entry => entry.Value)
                .Distinct()
                .OrderBy(name => name.Length)
                .ThenBy(name => name, StringComparer.Ordinal),
        ];
}
