using Bamba.Onnx.Contract;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Text;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx;

/// <summary>
/// A loaded model folder: weights and graph, shared by any number of sessions. Safe to use from several threads; dispose it
/// after its sessions.
/// </summary>
public sealed class BambaRuntime : IDisposable
{
    private readonly InferenceSession graph;
    private readonly BambaRuntimeOptions options;
    private readonly Lazy<BambaTokenizer> tokenizer;

    private BambaRuntime(ModelFolder folder, InferenceSession graph, BambaRuntimeOptions options)
    {
        Folder = folder.Path;
        Config = folder.Config;
        Manifest = folder.Manifest;
        Signature = GraphSignature.For(Config, GraphProfile.Runtime, Manifest.GraphOptions);
        Defaults = GenerationDefaults.Load(folder.Path, Config);
        tokenizer = new Lazy<BambaTokenizer>(() => BambaTokenizer.Load(Folder));
        this.graph = graph;
        this.options = options;
    }

    /// <summary>The model folder.</summary>
    public string Folder { get; }

    /// <summary>The model's shape.</summary>
    public BambaConfig Config { get; }

    /// <summary>What the export says of itself.</summary>
    public ModelManifest Manifest { get; }

    /// <summary>Sampling defaults and end tokens of the model.</summary>
    public GenerationDefaults Defaults { get; }

    /// <summary>The model's tokenizer, read when first asked for.</summary>
    /// <exception cref="BambaFormatException">The folder's tokenizer.json is missing, damaged or of an unknown kind.</exception>
    public BambaTokenizer Tokenizer => tokenizer.Value;

    /// <summary>Most tokens of a sequence.</summary>
    public int ContextLength => Manifest.Options.ContextLength;

    internal GraphSignature Signature { get; }

    /// <summary>Loads a model folder that <c>bamba-onnx export</c> wrote.</summary>
    /// <exception cref="BambaFormatException">The folder or a file of it is missing, damaged, or of a newer format.</exception>
    /// <exception cref="BambaException">The processor's provider does not run the folder's element type.</exception>
    public static BambaRuntime Load(string folder, BambaRuntimeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(folder);
        options ??= new BambaRuntimeOptions();
        ModelFolder model = ModelFolder.Open(folder);
        InferenceSession graph = GraphLoader.Load(model, GraphProfile.Runtime, options);
        try
        {
            return new BambaRuntime(model, graph, options);
        }
        catch
        {
            graph.Dispose();
            throw;
        }
    }

    /// <summary>Opens a session: sequences side by side, each with caches of its own, all empty.</summary>
    /// <param name="batchSize">Rows.</param>
    /// <param name="contextLength">Tokens that keys and values get room for; null for the most that the model takes.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive, or the context is longer than the model's.</exception>
    public BambaSession CreateSession(int batchSize = 1, int? contextLength = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        int capacity = contextLength ?? ContextLength;
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity, nameof(contextLength));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, ContextLength, nameof(contextLength));
        return new BambaSession(graph, Signature, Config, batchSize, capacity, options.PrefillChunk);
    }

    /// <inheritdoc/>
    public void Dispose() => graph.Dispose();
}
