using Bamba.Onnx.Contract;
using Bamba.Onnx.Hub;

namespace Bamba.Onnx.Cli.Contracts;

/// <summary>What rules look at: the files of a model folder, read once and run nowhere.</summary>
internal sealed class ContractFolder
{
    private ContractFolder(string path, ModelManifest manifest, BambaConfig config)
    {
        Root = path;
        Manifest = manifest;
        Config = config;
        Graphs = manifest.Layout.Profiles.ToDictionary(
            profile => profile,
            profile =>
                ContractGraph.Read(
                    path,
                    manifest.Layout.Graph(profile),
                    profile,
                    GraphSignature.For(config, profile, manifest.GraphOptions)
                )
        );
        GenAI = JsonFacts.Read(path, ModelFiles.GenAIConfig);
        HubConfig = JsonFacts.Read(path, ModelFiles.Config);
        Tokenizer = JsonFacts.Read(path, ModelFiles.Tokenizer);
        TokenizerConfig = JsonFacts.Read(path, ModelFiles.TokenizerConfig);
    }

    public string Root { get; }

    public ModelManifest Manifest { get; }

    public BambaConfig Config { get; }

    /// <summary>The graphs that the folder should have, also those whose file is not there.</summary>
    public IReadOnlyDictionary<GraphProfile, ContractGraph> Graphs { get; }

    /// <summary>The graphs that can be read.</summary>
    public IEnumerable<ContractGraph> ReadableGraphs => Graphs.Values.Where(graph => graph.Model is not null);

    /// <summary><c>genai_config.json</c>.</summary>
    public JsonFacts GenAI { get; }

    /// <summary><c>config.json</c>.</summary>
    public JsonFacts HubConfig { get; }

    /// <summary><c>tokenizer.json</c>.</summary>
    public JsonFacts Tokenizer { get; }

    /// <summary><c>tokenizer_config.json</c>.</summary>
    public JsonFacts TokenizerConfig { get; }

    /// <exception cref="BambaFormatException">
    /// The folder is no exported model, or what it says of itself is damaged: then nothing tells what it should hold.
    /// </exception>
    public static ContractFolder Open(string path) =>
        new(path, ModelManifest.Load(path), BambaConfig.Load(Path.Combine(path, ModelFiles.Config)));

    /// <summary>The size of a file; null where there is none.</summary>
    public long? BytesOf(string file) => LinkedFile.At(Path.Combine(Root, file))?.Length;

    /// <summary>Why rules of a profile's graph say nothing of the folder; null where they do.</summary>
    public string? WithoutGraph(GraphProfile profile) =>
        !Graphs.TryGetValue(profile, out ContractGraph? graph) ? $"exported without profile {NameOf(profile)}"
        : graph.Problem is null ? null
        : $"{graph.File} cannot be read";

    /// <summary>Why rules of a profile's companions say nothing of the folder; null where they do.</summary>
    public string? WithoutProfile(GraphProfile profile) =>
        Graphs.ContainsKey(profile) ? null : $"exported without profile {NameOf(profile)}";

    /// <summary>Why rules of the tokenizer say nothing of the folder; null where they do.</summary>
    public string? WithoutTokenizer() =>
        BytesOf(ModelFiles.Tokenizer) is null && BytesOf(ModelFiles.TokenizerConfig) is null
            ? "its checkpoint has no tokenizer: hosts can feed it tokens only"
            : null;

    /// <summary>What users call a profile.</summary>
    public static string NameOf(GraphProfile profile) => profile.ToString().ToLowerInvariant();
}
