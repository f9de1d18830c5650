using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>What every lowering needs: where nodes go, where weights come from, and what the door let in.</summary>
internal sealed class LoweringContext(
    BambaConfig config,
    GraphOptions options,
    GraphSignature signature,
    QuantizationOptions? quantization,
    ModelBuilder model,
    TokenDoor door,
    int contextLength,
    WeightPlan weights,
    string weightsFile
)
{
    /// <summary>The domain of ONNX Runtime's own operators.</summary>
    public const string ContribDomain = "com.microsoft";

    private Value? positions;

    public BambaConfig Config => config;

    public GraphOptions Options => options;

    /// <summary>T, the element type of weights and activations.</summary>
    public ElementType Dtype => options.Dtype;

    public ModelBuilder Model => model;

    public NodeBuilder Nodes => model.Nodes;

    /// <summary>The tensors of the weights file.</summary>
    public WeightPlan Weights => weights;

    public TokenDoor Door => door;

    /// <summary>Positions that rotary tables have rows for.</summary>
    public int ContextLength => contextLength;

    /// <summary>The position of every token of the call in its sequence, [batch, length] int64, made once.</summary>
    public Value Positions => positions ??= door.Positions(Nodes);

    /// <summary>A cache of a layer.</summary>
    public CacheSpec Cache(int layer, CacheKind kind) =>
        signature.Caches.Single(cache => cache.Layer == layer && cache.Kind == kind);

    /// <summary>The bits and groups of matrices that are stored as one; null where they are of T.</summary>
    public WeightQuantization? FormatOf(ImmutableArray<string> tensors) => quantization?.FormatOf(tensors);

    /// <summary>What the function of products with few bits converts to T, the same for all of a model.</summary>
    public MatMulNBitsCasts ProductCasts => quantization?.ProductCasts ?? MatMulNBitsCasts.None;

    /// <summary>A parameter as it is, of T.</summary>
    public Value Parameter(string name, params ReadOnlySpan<long> shape) => Parameter(name, [name], shape);

    /// <summary>Parameters of the checkpoint one behind another, of T.</summary>
    public Value Parameter(string name, ImmutableArray<string> tensors, params ReadOnlySpan<long> shape) =>
        Initializer(name, Dtype, shape, WeightSource.CopyOf(tensors));

    /// <summary>A parameter that the computation needs in float32 whatever T is.</summary>
    public Value Float32Parameter(string name, params ReadOnlySpan<long> shape) =>
        Initializer(name, ElementType.Float32, shape, WeightSource.CopyOf(name));

    /// <summary>
    /// The weights of linear layers, [outputs, inputs] all together, as the right-hand side of a product, [inputs, outputs] of T.
    /// </summary>
    public Value Matrix(string name, ImmutableArray<string> tensors, long outputs, long inputs) =>
        Initializer(name, Dtype, [inputs, outputs], WeightSource.TransposeOf(tensors));

    /// <summary>A table that no checkpoint holds.</summary>
    public Value Generated(string name, ElementType type, ReadOnlySpan<long> shape, FillRow fill) =>
        Initializer(name, type, shape, WeightSource.GeneratedBy(fill));

    /// <summary>Appends a node of this project's domain, whose function the model gets too.</summary>
    public Value[] Call(
        string name,
        Func<Graph.Proto.FunctionProto> function,
        ReadOnlySpan<Value> inputs,
        int outputs,
        params ReadOnlySpan<NodeArgument> attributes
    )
    {
        model.Function(Mamba2ChunkScanOp.Domain, name, function);
        return Nodes.Node(Mamba2ChunkScanOp.Domain, name, inputs, outputs, attributes);
    }

    /// <summary>An entry of the weights file under a name and with axes of its own.</summary>
    public Value Reference(string name, WeightEntry entry, ReadOnlySpan<long> shape) =>
        model.ExternalInitializer(
            name,
            entry.Type,
            shape,
            ModelFiles.Shard(weightsFile, entry.Shard),
            entry.Offset,
            entry.Bytes
        );

    private Value Initializer(string name, ElementType type, ReadOnlySpan<long> shape, WeightSource source)
    {
        WeightEntry entry = weights.GetOrAdd(name, type, [.. shape], source);
        return Reference(entry.Name, entry, entry.Shape.AsSpan());
    }
}
