using System.Globalization;
using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>What ONNX Runtime GenAI needs besides a right graph: its configuration, and states that it can make itself.</summary>
internal static class GenAIRules
{
    /// <summary>The type of its list that means a decoder of both kinds of cache and nothing more.</summary>
    private const string Decoder = "decoder";

    private static readonly string[] Inputs = ["model", "decoder", "inputs"];
    private static readonly string[] Outputs = ["model", "decoder", "outputs"];

    private static readonly (string Key, string Name)[] InputNames =
    [
        ("input_ids", TensorNames.InputIds),
        ("attention_mask", TensorNames.AttentionMask),
        ("past_key_names", TensorNames.PastPattern(CacheKind.Key)),
        ("past_value_names", TensorNames.PastPattern(CacheKind.Value)),
    ];

    private static readonly (string Key, string Name)[] OutputNames =
    [
        ("logits", TensorNames.Logits),
        ("present_key_names", TensorNames.PresentPattern(CacheKind.Key)),
        ("present_value_names", TensorNames.PresentPattern(CacheKind.Value)),
    ];

    public static IEnumerable<ContractRule> All =>
        [
            new(
                "genai.states",
                ContractHost.GenAI,
                "of a state only the first axis is symbolic, and all layers' states have the shapes of the first layer's",
                folder => folder.WithoutGraph(GraphProfile.Portable),
                folder => States(folder.Graphs[GraphProfile.Portable])
            ),
            new(
                "genai.config",
                ContractHost.GenAI,
                "genai_config.json is there and is JSON",
                folder => folder.WithoutProfile(GraphProfile.Portable),
                folder => FolderRules.Object(folder.GenAI)
            ),
            Rule(
                "genai.type",
                "model.type is \"decoder\": GenAI knows no \"bamba\", and gives other types habits of their own",
                folder => folder.GenAI.Expect($"\"{Decoder}\"", "model", "type")
            ),
            Rule(
                "genai.filename",
                "genai_config.json names the graph of profile portable",
                folder =>
                    folder.GenAI.Expect(
                        $"\"{folder.Manifest.Layout.Graph(GraphProfile.Portable)}\"",
                        "model",
                        "decoder",
                        "filename"
                    )
            ),
            Rule(
                "genai.names",
                "the names of inputs and outputs in genai_config.json are the graph's; those of states follow from keys' and values'",
                folder =>
                    [
                        .. InputNames.SelectMany(name =>
                            folder.GenAI.Expect($"\"{name.Name}\"", [.. Inputs, name.Key])
                        ),
                        .. OutputNames.SelectMany(name =>
                            folder.GenAI.Expect($"\"{name.Name}\"", [.. Outputs, name.Key])
                        ),
                    ]
            ),
            Rule(
                "genai.keys",
                "genai_config.json lists no further inputs or outputs: keys that a release does not know make it refuse the file",
                folder => [.. Surplus(folder, Inputs, InputNames), .. Surplus(folder, Outputs, OutputNames)]
            ),
            Rule("genai.sizes", "the sizes in genai_config.json are the model's", Sizes),
            Rule("genai.end", "the end tokens in genai_config.json are the model's", End),
            Rule(
                "genai.pad",
                "the pad token is none of ordinary text: GenAI takes those at a prompt's end for padding, and 0 is often \"!\"",
                Pad
            ),
            Rule(
                "genai.search",
                "no beams, since states are not reordered; no shared key and value buffers; lengths within the graph's positions",
                Search
            ),
            Rule(
                "genai.library",
                "an op library that genai_config.json names lies in the folder",
                folder => Library(folder.GenAI, folder)
            ),
        ];

    private static ContractRule Rule(
        string id,
        string requirement,
        Func<ContractFolder, IEnumerable<ContractFinding>> find
    ) =>
        new(
            id,
            ContractHost.GenAI,
            requirement,
            folder =>
                folder.WithoutProfile(GraphProfile.Portable)
                ?? (folder.GenAI.Problem is null ? null : $"{folder.GenAI.File} cannot be read"),
            find
        );

    private static IEnumerable<ContractFinding> States(ContractGraph graph)
    {
        foreach ((TensorSpec wanted, ValueInfoProto found) in graph.Tensors)
        {
            Axis[] axes = SignatureRules.AxesOf(found);
            // The signature gives the states of all layers one shape, with symbols in front only.
            if (
                SignatureRules.IsState(graph, wanted)
                && axes.Length == wanted.Axes.Length
                && axes.Zip(wanted.Axes).Any(pair => pair.First.Size != pair.Second.Size)
            )
            {
                yield return graph.Finding(wanted.Name, SignatureRules.List(wanted.Axes), SignatureRules.List(axes));
            }
        }
    }

    private static IEnumerable<ContractFinding> Surplus(
        ContractFolder folder,
        string[] path,
        (string Key, string Name)[] known
    ) =>
        folder
            .GenAI.KeysAt(path)
            .Except(known.Select(name => name.Key))
            .Select(key => folder.GenAI.Finding("no such key", [.. path, key]));

    private static IEnumerable<ContractFinding> Sizes(ContractFolder folder)
    {
        BambaConfig config = folder.Config;
        (int Size, string[] Path)[] sizes =
        [
            (config.VocabSize, ["model", "vocab_size"]),
            (config.HiddenSize, ["model", "decoder", "hidden_size"]),
            (config.HeadDim, ["model", "decoder", "head_size"]),
            (config.NumAttentionHeads, ["model", "decoder", "num_attention_heads"]),
            (config.NumKeyValueHeads, ["model", "decoder", "num_key_value_heads"]),
            (config.Layers.Length, ["model", "decoder", "num_hidden_layers"]),
        ];
        return sizes.SelectMany(size =>
            folder.GenAI.Expect(size.Size.ToString(CultureInfo.InvariantCulture), size.Path)
        );
    }

    private static IEnumerable<ContractFinding> End(ContractFolder folder)
    {
        string[] path = ["model", "eos_token_id"];
        long?[] found = folder.GenAI.At(path) is { ValueKind: JsonValueKind.Array } list
            ? [.. list.EnumerateArray().Select(item => item.TryGetInt64(out long id) ? id : (long?)null)]
            : [folder.GenAI.IntegerAt(path)];
        if (!found.Order().SequenceEqual(folder.Config.EosTokenIds.Select(id => (long?)id).Order()))
        {
            yield return folder.GenAI.Finding(string.Join(", ", folder.Config.EosTokenIds), path);
        }
    }

    private static IEnumerable<ContractFinding> Pad(ContractFolder folder)
    {
        HashSet<long> special =
        [
            .. folder
                .Tokenizer.ItemsAt("added_tokens")
                .Where(token => Member(token, "special") is { ValueKind: JsonValueKind.True })
                .Select(token => Member(token, "id") is { } id && id.TryGetInt64(out long value) ? value : -1),
        ];
        string[] path = ["model", "pad_token_id"];
        long? pad = folder.GenAI.IntegerAt(path);
        if (pad is null || pad < 0 || pad >= folder.Config.VocabSize)
        {
            yield return folder.GenAI.Finding($"a token below {folder.Config.VocabSize}", path);
        }
        else if (special.Count > 0 && !special.Contains(pad.Value))
        {
            yield return folder.GenAI.Finding(
                $"a special token of tokenizer.json: {string.Join(", ", special.Order().Take(4))}",
                path
            );
        }
    }

    private static JsonElement? Member(JsonElement json, string key) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(key, out JsonElement value) ? value : null;

    private static IEnumerable<ContractFinding> Search(ContractFolder folder)
    {
        JsonFacts config = folder.GenAI;
        long positions = folder.Manifest.Options.ContextLength;
        IEnumerable<ContractFinding> lengths = new string[][] { ["model", "context_length"], ["search", "max_length"] }
            .Where(path => config.IntegerAt(path) is not { } length || length < 1 || length > positions)
            .Select(path => config.Finding($"1 to {positions}", path));
        return
        [
            .. config.Expect("1", "search", "num_beams"),
            .. config.Expect("false", "search", "past_present_share_buffer"),
            .. lengths,
        ];
    }

    private static IEnumerable<ContractFinding> Library(JsonFacts config, ContractFolder folder)
    {
        string[] path = ["model", "decoder", "session_options", "custom_ops_library"];
        if (config.At(path) is null)
        {
            yield break;
        }
        if (
            config.TextAt(path) is not { Length: > 0 } library
            || library.Split('/', '\\').Contains("..")
            || folder.BytesOf(library) is null
        )
        {
            yield return config.Finding("a file of the folder, or no such key", path);
        }
    }
}
