using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Cli.Inspection.Page;

/// <summary>What a page draws of a model beyond what <see cref="ModelInspection"/> tells: layer by layer, cache by cache, part by part.</summary>
internal sealed record ModelPicture
{
    public required ModelInspection Inspection { get; init; }

    /// <summary>The layers in order.</summary>
    public required ImmutableArray<LayerPicture> Layers { get; init; }

    /// <summary>The kinds of cache that the model has.</summary>
    public required ImmutableArray<CachePicture> Caches { get; init; }

    /// <summary>The weights by the part of the model that they belong to, and by type.</summary>
    public required ImmutableArray<PartPicture> Parts { get; init; }

    /// <summary>The matrices in fewer bits, by their format.</summary>
    public required ImmutableArray<FormatPicture> Formats { get; init; }

    /// <exception cref="BambaFormatException">A file of the folder is missing or damaged.</exception>
    public static ModelPicture Of(string folder, ModelInspection inspection)
    {
        ModelManifest manifest = ModelManifest.Load(folder);
        BambaConfig config = BambaConfig.Load(Path.Combine(folder, ModelFiles.Config));
        ImmutableArray<CacheSpec> caches = GraphSignature
            .For(config, GraphProfile.Runtime, manifest.GraphOptions)
            .Caches;
        ImmutableArray<WeightPicture> weights =
        [
            .. StoredWeights.Of(ModelInspection.ReadGraphs(folder, manifest.Layout).Values).Select(WeightPicture.Of),
        ];
        return new ModelPicture
        {
            Inspection = inspection,
            Layers = [.. config.Layers.Select((kind, layer) => LayerOf(layer, kind, caches, weights))],
            Caches =
            [
                .. caches
                    .GroupBy(cache => cache.Kind)
                    .Select(kind => new CachePicture(
                        kind.Key,
                        kind.First().Past,
                        kind.Count(),
                        kind.Sum(cache => CacheSizes.BytesOf(cache))
                    )),
            ],
            Parts =
            [
                .. weights
                    .GroupBy(weight => weight.Part)
                    .Select(part => new PartPicture(
                        part.Key,
                        [.. part.GroupBy(weight => weight.Type).Select(type => (type.Key, type.Sum(it => it.Bytes)))]
                    ))
                    .OrderByDescending(part => part.Bytes),
            ],
            Formats =
            [
                .. (manifest.Quantization ?? [])
                    .GroupBy(matrix => QuantizationSummary.Describe(matrix.Format))
                    .Select(format => FormatOf(format.Key, [.. format.Select(matrix => matrix.Name)], weights)),
            ],
        };
    }

    private static FormatPicture FormatOf(
        string format,
        HashSet<string> matrices,
        ImmutableArray<WeightPicture> weights
    )
    {
        return new FormatPicture(format, matrices.Count, Bytes("codes"), Bytes("scales"), Bytes("zero_points"));

        long Bytes(string role) =>
            weights
                .Where(weight =>
                    weight.Name.EndsWith($".{role}", StringComparison.Ordinal)
                    && matrices.Contains(weight.Name[..^(role.Length + 1)])
                )
                .Sum(weight => weight.Bytes);
    }

    private static LayerPicture LayerOf(
        int layer,
        LayerKind kind,
        ImmutableArray<CacheSpec> caches,
        ImmutableArray<WeightPicture> weights
    )
    {
        ILookup<bool, WeightPicture> byMlp = weights
            .Where(weight => weight.Layer == layer)
            .ToLookup(weight => weight.Part == WeightPicture.Mlp);
        CacheSpec[] own = [.. caches.Where(cache => cache.Layer == layer)];
        return new LayerPicture(
            layer,
            kind,
            byMlp[false].Sum(weight => weight.Bytes),
            byMlp[true].Sum(weight => weight.Bytes),
            own.Where(cache => !CacheSizes.Grows(cache)).Sum(CacheSizes.BytesOf),
            own.Where(CacheSizes.Grows).Sum(CacheSizes.BytesOf)
        );
    }
}

/// <summary>A decoder layer.</summary>
/// <param name="Index">Its place, from 0.</param>
/// <param name="Kind">Its mixer.</param>
/// <param name="MixerBytes">Weights of the mixer and of the layer's norms.</param>
/// <param name="MlpBytes">Weights of the MLP.</param>
/// <param name="StateBytes">Its states of one sequence, however long.</param>
/// <param name="TokenBytes">Its keys and values of one token.</param>
internal sealed record LayerPicture(
    int Index,
    LayerKind Kind,
    long MixerBytes,
    long MlpBytes,
    long StateBytes,
    long TokenBytes
)
{
    public long WeightBytes => MixerBytes + MlpBytes;
}

/// <summary>A kind of cache.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Example">The input of the first layer that has it.</param>
/// <param name="Layers">Layers that have it.</param>
/// <param name="Bytes">Of all layers together: of a sequence, or where it grows of a token.</param>
internal sealed record CachePicture(CacheKind Kind, TensorSpec Example, int Layers, long Bytes);

/// <summary>A part of the model with its weights.</summary>
/// <param name="Name">What people call it.</param>
/// <param name="Types">Bytes by element type.</param>
internal sealed record PartPicture(string Name, ImmutableArray<(string Type, long Bytes)> Types)
{
    public long Bytes => Types.Sum(type => type.Bytes);
}

/// <summary>A format of matrices in fewer bits.</summary>
/// <param name="Format">Bits, groups and zero points, in words.</param>
/// <param name="Matrices">Matrices that have it.</param>
/// <param name="CodeBytes">Their codes.</param>
/// <param name="ScaleBytes">Their groups' scales.</param>
/// <param name="ZeroPointBytes">Their groups' zero points.</param>
internal sealed record FormatPicture(string Format, int Matrices, long CodeBytes, long ScaleBytes, long ZeroPointBytes);

/// <summary>A tensor of the weights file.</summary>
internal sealed partial record WeightPicture(string Name, string Type, long Bytes, int? Layer, string Part)
{
    public const string Mlp = "MLPs";

    public static WeightPicture Of(TensorProto tensor) =>
        new(
            tensor.Name,
            GraphInspection.TypeName(tensor.DataType),
            StoredWeights.BytesOf(tensor),
            LayerOfName().Match(tensor.Name) is { Success: true } match
                ? int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture)
                : null,
            PartOf(tensor.Name)
        );

    private static string PartOf(string name) =>
        name.Contains(".mamba.", StringComparison.Ordinal) ? "Mamba-2 mixers"
        : name.Contains(".self_attn.", StringComparison.Ordinal) ? "attention"
        : name.Contains(".feed_forward.", StringComparison.Ordinal) ? Mlp
        : name.Contains("layernorm", StringComparison.Ordinal) ? "norms"
        : name.Contains("embed_tokens", StringComparison.Ordinal) ? "embedding"
        : name.StartsWith("lm_head", StringComparison.Ordinal) ? "head"
        : name.StartsWith("rotary_emb", StringComparison.Ordinal) ? "rotary tables"
        : "others";

    [GeneratedRegex(@"\blayers\.(\d+)\.")]
    private static partial Regex LayerOfName();
}
