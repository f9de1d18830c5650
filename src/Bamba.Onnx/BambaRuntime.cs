using System.Diagnostics;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.Diagnostics;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Hub;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.State;
using Bamba.Onnx.Text;
using Microsoft.Extensions.Logging;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx;

/// <summary>
/// A loaded model: weights and graph, shared by any number of sessions. Safe to use from several threads. Disposing it
/// ends its use for new sessions; open ones go on, and the model's memory is freed with the last of them.
/// </summary>
public sealed class BambaRuntime : IDisposable
{
    private readonly SharedGraph graph;
    private readonly Lazy<BambaTokenizer> tokenizer;
    private readonly ILogger logger;
    private int disposed;

    private BambaRuntime(
        ModelFolder folder,
        SharedGraph graph,
        ProviderChoice choice,
        BambaRuntimeOptions options,
        ILogger logger
    )
    {
        Provider = choice.Provider;
        DeviceName = choice.Device?.Name;
        FallbackReason = choice.FallbackReason;
        Folder = folder.Path;
        Config = folder.Config;
        Manifest = folder.Manifest;
        Options = options;
        Signature = GraphSignature.For(Config, GraphProfile.Runtime, Manifest.GraphOptions);
        SnapshotModel = new SnapshotModel(
            Manifest.Source.Sha256,
            Config.VocabSize,
            [.. Signature.Caches.Select(cache => cache.Past.ToString())]
        );
        Defaults = GenerationDefaults.Load(folder.Path, Config);
        tokenizer = new Lazy<BambaTokenizer>(() => BambaTokenizer.Load(Folder));
        this.graph = graph;
        this.logger = logger;
    }

    /// <summary>The model folder.</summary>
    public string Folder { get; }

    /// <summary>The model's shape.</summary>
    public BambaConfig Config { get; }

    /// <summary>What the export says of itself.</summary>
    public ModelManifest Manifest { get; }

    /// <summary>How it was loaded.</summary>
    public BambaRuntimeOptions Options { get; }

    /// <summary>What the model runs on: never <see cref="ExecutionProvider.Auto"/>.</summary>
    public ExecutionProvider Provider { get; }

    /// <summary>The name of the device that the model runs on; null for the processor.</summary>
    public string? DeviceName { get; }

    /// <summary>
    /// Why <see cref="ExecutionProvider.Auto"/> took the processor; null where it did not, and where ONNX Runtime is the CPU build.
    /// </summary>
    public string? FallbackReason { get; }

    /// <summary>Sampling defaults and end tokens of the model.</summary>
    public GenerationDefaults Defaults { get; }

    /// <summary>The model's tokenizer, read when first asked for.</summary>
    /// <exception cref="BambaFormatException">The folder's tokenizer.json is missing, damaged or of an unknown kind.</exception>
    public BambaTokenizer Tokenizer => tokenizer.Value;

    /// <summary>Most tokens of a sequence.</summary>
    public int ContextLength => Manifest.Options.ContextLength;

    internal GraphSignature Signature { get; }

    internal SnapshotModel SnapshotModel { get; }

    internal ILogger Logger => logger;

    /// <summary>Bytes a second that copies within the device's memory reach; null on the processor.</summary>
    internal double? MeasureDeviceCopySpeed() => graph.Device?.MeasureCopySpeed();

    /// <summary>Most tokens of a row that one call takes.</summary>
    internal int PrefillChunk => Options.PrefillChunkOf(Provider);

    /// <summary>Loads an exported model.</summary>
    /// <param name="model">
    /// A folder that <c>bamba-onnx export</c> wrote; or a checkpoint folder or a Hugging Face id, <c>owner/name[@revision]</c>, of
    /// which the command keeps an export. An id is looked up in Hugging Face's cache; nothing asks the network.
    /// </param>
    /// <param name="options">How; null for what fits most.</param>
    /// <exception cref="BambaFormatException">There is no such model or no export of it, or a file of it is missing, damaged, or of a newer format.</exception>
    /// <exception cref="ArgumentException">The name is empty, or its revision is none.</exception>
    /// <exception cref="BambaException">The processor's provider does not run the folder's element type.</exception>
    public static BambaRuntime Load(string model, BambaRuntimeOptions? options = null) =>
        Load(model, options, CancellationToken.None);

    /// <summary>Loads an exported model on another thread.</summary>
    /// <param name="model">
    /// A folder that <c>bamba-onnx export</c> wrote; or a checkpoint folder or a Hugging Face id, <c>owner/name[@revision]</c>, of
    /// which the command keeps an export. An id is looked up in Hugging Face's cache; nothing asks the network.
    /// </param>
    /// <param name="options">How; null for what fits most.</param>
    /// <param name="cancellationToken">Ends the loading, also inside ONNX Runtime.</param>
    /// <exception cref="BambaFormatException">There is no such model or no export of it, or a file of it is missing, damaged, or of a newer format.</exception>
    /// <exception cref="ArgumentException">The name is empty, or its revision is none.</exception>
    /// <exception cref="BambaException">The processor's provider does not run the folder's element type.</exception>
    /// <exception cref="OperationCanceledException">The loading was cancelled.</exception>
    public static Task<BambaRuntime> LoadAsync(
        string model,
        BambaRuntimeOptions? options = null,
        CancellationToken cancellationToken = default
    ) => Task.Run(() => Load(model, options, cancellationToken), cancellationToken);

    /// <summary>Opens a session: sequences side by side, each with caches of its own, all empty.</summary>
    /// <param name="batchSize">Rows.</param>
    /// <param name="contextLength">Tokens that keys and values get room for; null for the most that the model takes.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive, or the context is longer than the model's.</exception>
    /// <exception cref="ObjectDisposedException">The runtime was disposed.</exception>
    public BambaSession CreateSession(int batchSize = 1, int? contextLength = null)
    {
        StateLayout layout = LayoutOf(batchSize, contextLength, out int capacity);
        ObjectDisposedException.ThrowIf(disposed != 0 || !graph.TryHold(), this);
        try
        {
            var session = new BambaSession(this, graph, layout, capacity);
            logger.SessionOpened(batchSize, capacity, layout.TotalBytes);
            return session;
        }
        catch
        {
            graph.Release();
            throw;
        }
    }

    /// <summary>What a model and one session of it will take, before anything of it is loaded.</summary>
    /// <param name="model">As for <see cref="Load(string, BambaRuntimeOptions?)"/>.</param>
    /// <param name="options">How it is to be loaded; null for what fits most.</param>
    /// <param name="batchSize">Rows of the session.</param>
    /// <param name="contextLength">Tokens that keys and values get room for; null for the most that the model takes.</param>
    /// <exception cref="BambaFormatException">There is no such model or no export of it, or a file of it is missing, damaged, or of a newer format.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive.</exception>
    public static MemoryPlan PlanMemory(
        string model,
        BambaRuntimeOptions? options = null,
        int batchSize = 1,
        int? contextLength = null
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        options ??= new BambaRuntimeOptions();
        ModelFolder folder = ModelFolder.Open(FindExport(model, options));
        int capacity = contextLength ?? folder.Manifest.Options.ContextLength;
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity, nameof(contextLength));
        return MemoryPlan.For(folder, options, batchSize, capacity);
    }

    /// <summary>What a session's caches will take, before it is opened.</summary>
    /// <param name="batchSize">Rows.</param>
    /// <param name="contextLength">Tokens that keys and values get room for; null for the most that the model takes.</param>
    /// <returns>Bytes.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A number is not positive, or the context is longer than the model's.</exception>
    public long StateBytes(int batchSize = 1, int? contextLength = null) =>
        LayoutOf(batchSize, contextLength, out _).TotalBytes;

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 0)
        {
            graph.Release();
        }
    }

    /// <exception cref="ArgumentException">The snapshot is of another model.</exception>
    internal void RequireOwn(BambaStateSnapshot snapshot)
    {
        if (snapshot.Model != SnapshotModel)
        {
            throw new ArgumentException(
                $"expected a snapshot of this model ({Describe(SnapshotModel)}), found one of another ({Describe(snapshot.Model)})",
                nameof(snapshot)
            );
        }
    }

    private static BambaRuntime Load(string model, BambaRuntimeOptions? options, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new BambaRuntimeOptions();
        ILogger logger = options.LoggerFactory.CreateLogger(BambaTelemetry.Name);
        using Activity? activity = BambaTelemetry.StartLoad(model);
        long start = Stopwatch.GetTimestamp();
        string folder = FindExport(model, options);
        SharedGraph graph = LoadGraph(
            folder,
            options,
            cancellationToken,
            out ModelFolder files,
            out ProviderChoice choice
        );
        try
        {
            var runtime = new BambaRuntime(files, graph, choice, options, logger);
            if (choice.FallbackReason is { } reason)
            {
                logger.FellBack(reason);
            }
            logger.Loaded(
                folder,
                files.Manifest.Parameters,
                files.Manifest.Options.Dtype.ShortName(),
                runtime.ContextLength,
                (long)Stopwatch.GetElapsedTime(start).TotalMilliseconds
            );
            return runtime;
        }
        catch
        {
            graph.Release();
            throw;
        }
    }

    private static string FindExport(string model, BambaRuntimeOptions options) =>
        new ModelLocator(new HubCache(options.HubCacheFolder), new ExportCache(options.ExportCacheFolder)).FindExport(
            model,
            options.Dtype
        );

    private static SharedGraph LoadGraph(
        string folder,
        BambaRuntimeOptions options,
        CancellationToken cancellationToken,
        out ModelFolder files,
        out ProviderChoice choice
    )
    {
        IDisposable? hold = ExportCache.Hold(folder);
        ProviderChoice? taken = null;
        try
        {
            files = ModelFolder.Open(folder);
            choice = taken = ProviderChoice.Of(options, files);
            InferenceSession graph = GraphLoader.Load(
                files,
                GraphProfile.Runtime,
                options,
                choice.Device,
                cancellationToken
            );
            return new SharedGraph(
                graph,
                choice.Device,
                SamplingOf(options, choice),
                StepRefusal(options, choice, files),
                hold,
                options.TraceFile
            );
        }
        catch
        {
            taken?.Device?.Dispose();
            hold?.Dispose();
            throw;
        }
    }

    private static SamplingLibrary? SamplingOf(BambaRuntimeOptions options, ProviderChoice choice) =>
        choice.Device is not null
        && options.CustomOps.Find(choice.Provider) is { } library
        && CustomOps.FindCuda(library) is { } kernels
            ? SamplingLibrary.Load(kernels)
            : null;

    /// <summary>Why a step cannot be recorded on a device: what runs on the processor's side, no recording can hold.</summary>
    private static string? StepRefusal(BambaRuntimeOptions options, ProviderChoice choice, ModelFolder folder) =>
        options.CustomOps.Find(choice.Provider) is null ? "the scan runs as the function of the model's file"
        : folder.Manifest.Options.Dtype == ElementType.Float32 && folder.Config.Layers.Contains(LayerKind.Attention)
            ? "ONNX Runtime's CUDA provider attends in 16 bits only, so that float32 attention runs on the processor"
        // A replay is one event, which tells nothing of the nodes in it.
        : options.RecordSteps && options.TraceFile is null ? null
        : "as was asked";

    private StateLayout LayoutOf(int batchSize, int? contextLength, out int capacity)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batchSize);
        capacity = contextLength ?? ContextLength;
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity, nameof(contextLength));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(capacity, ContextLength, nameof(contextLength));
        return new StateLayout(Signature.Caches, batchSize, capacity);
    }

    internal static string Describe(SnapshotModel model) =>
        $"checkpoint {model.Sha256?[..12] ?? "without a hash"}, {model.Caches.Length} caches, vocabulary of {model.VocabSize}";
}
