using System.Collections.Immutable;

namespace Bamba.Onnx.Contract;

/// <summary>
/// The ordered inputs and outputs of a graph. The exporter builds from it and the runtime binds from it, so that no name
/// or axis is written twice.
/// </summary>
public sealed class GraphSignature
{
    private GraphSignature(
        ImmutableArray<TensorSpec> front,
        ImmutableArray<TensorSpec> results,
        ImmutableArray<CacheSpec> caches
    )
    {
        Front = front;
        Results = results;
        Caches = caches;
        Inputs = [.. front, .. caches.Select(cache => cache.Past)];
        Outputs = [.. results, .. caches.Select(cache => cache.Present)];
    }

    /// <summary>Every input, in order: tokens and lengths or mask, then caches.</summary>
    public ImmutableArray<TensorSpec> Inputs { get; }

    /// <summary>Every output, in order: logits, hidden states, then caches.</summary>
    public ImmutableArray<TensorSpec> Outputs { get; }

    /// <summary>The inputs that are not caches.</summary>
    public ImmutableArray<TensorSpec> Front { get; }

    /// <summary>The outputs that are not caches.</summary>
    public ImmutableArray<TensorSpec> Results { get; }

    /// <summary>The caches, by layer.</summary>
    public ImmutableArray<CacheSpec> Caches { get; }

    /// <summary>The signature of a graph of <paramref name="profile"/> for a model of shape <paramref name="config"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="profile"/> is not a defined value.</exception>
    public static GraphSignature For(BambaConfig config, GraphProfile profile, GraphOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        options ??= new GraphOptions();
        return new GraphSignature(
            FrontOf(profile),
            ResultsOf(config, options, options.LogitsOf(profile)),
            [.. config.Layers.SelectMany((kind, layer) => CachesOf(config, profile, options.Dtype, layer, kind))]
        );
    }

    private static ImmutableArray<TensorSpec> FrontOf(GraphProfile profile)
    {
        var ids = new TensorSpec(TensorNames.InputIds, ElementType.Int64, [AxisNames.Batch, AxisNames.Sequence]);
        return profile switch
        {
            GraphProfile.Portable or GraphProfile.Web =>
            [
                ids,
                new TensorSpec(TensorNames.AttentionMask, ElementType.Int64, [AxisNames.Batch, AxisNames.Total]),
            ],
            GraphProfile.Runtime =>
            [
                ids,
                new TensorSpec(TensorNames.PastLens, ElementType.Int32, [AxisNames.Batch]),
                new TensorSpec(TensorNames.SeqLens, ElementType.Int32, [AxisNames.Batch]),
            ],
            _ => throw new ArgumentOutOfRangeException(nameof(profile), profile, null),
        };
    }

    private static ImmutableArray<TensorSpec> ResultsOf(
        BambaConfig config,
        GraphOptions options,
        LogitsPositions positions
    )
    {
        Axis tokens = positions == LogitsPositions.All ? AxisNames.Sequence : 1;
        var logits = new TensorSpec(
            TensorNames.Logits,
            ElementType.Float32,
            [AxisNames.Batch, tokens, config.VocabSize]
        );
        int hiddenStates = options.OutputHiddenStates ? config.Layers.Length + 1 : 0;
        return
        [
            logits,
            .. Enumerable
                .Range(0, hiddenStates)
                .Select(i => new TensorSpec(
                    TensorNames.HiddenStates(i),
                    options.Dtype,
                    [AxisNames.Batch, AxisNames.Sequence, config.HiddenSize]
                )),
        ];
    }

    private static IEnumerable<CacheSpec> CachesOf(
        BambaConfig config,
        GraphProfile profile,
        ElementType dtype,
        int layer,
        LayerKind kind
    )
    {
        if (kind == LayerKind.Mamba)
        {
            ImmutableArray<Axis> conv = [AxisNames.Batch, config.MambaConvDim, config.MambaConvKernel - 1];
            ImmutableArray<Axis> recurrent =
            [
                AxisNames.Batch,
                config.MambaNumHeads,
                config.MambaHeadDim,
                config.MambaStateSize,
            ];
            return
            [
                Cache(profile, layer, CacheKind.ConvState, dtype, conv, conv),
                Cache(profile, layer, CacheKind.RecurrentState, ElementType.Float32, recurrent, recurrent),
            ];
        }
        bool grows = profile != GraphProfile.Runtime;
        ImmutableArray<Axis> past = KeyValueAxes(config, grows ? AxisNames.Past : AxisNames.Capacity);
        ImmutableArray<Axis> present = KeyValueAxes(config, grows ? AxisNames.Total : AxisNames.Capacity);
        return
        [
            Cache(profile, layer, CacheKind.Key, dtype, past, present),
            Cache(profile, layer, CacheKind.Value, dtype, past, present),
        ];
    }

    private static ImmutableArray<Axis> KeyValueAxes(BambaConfig config, Axis tokens) =>
        [AxisNames.Batch, config.NumKeyValueHeads, tokens, config.HeadDim];

    private static CacheSpec Cache(
        GraphProfile profile,
        int layer,
        CacheKind kind,
        ElementType type,
        ImmutableArray<Axis> past,
        ImmutableArray<Axis> present
    ) =>
        new(
            layer,
            kind,
            new TensorSpec(TensorNames.Past(profile, layer, kind), type, past),
            new TensorSpec(TensorNames.Present(profile, layer, kind), type, present)
        );
}
