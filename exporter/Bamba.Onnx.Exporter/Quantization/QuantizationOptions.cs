using System.Collections.Immutable;
using System.IO.Enumeration;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Lowering.Functions;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>Which matrices an export stores in fewer bits. Norms, convolutions and Mamba's own parameters never are.</summary>
public sealed record QuantizationOptions
{
    private static readonly ImmutableArray<int> GroupSizes = [32, 64, 128];

    /// <summary>The projections of attention, Mamba and MLP; null for the export's element type.</summary>
    public WeightQuantization? Layers { get; init; }

    /// <summary>The table of embeddings, which a tied model's head shares; null for the export's element type.</summary>
    public WeightQuantization? Embedding { get; init; }

    /// <summary>The output head, where it is not tied; null for the export's element type.</summary>
    public WeightQuantization? Head { get; init; }

    /// <summary>
    /// Names of checkpoint tensors that stay in the export's element type, <c>*</c> for any characters. Matrices that are computed
    /// as one (queries, keys and values; gate and up) stay together.
    /// </summary>
    public ImmutableArray<string> Keep { get; init; } = [];

    /// <summary>One format for every matrix.</summary>
    /// <remarks>Rows are looked up with integer zero points only, so those stand in for float ones in the embedding.</remarks>
    public static QuantizationOptions Of(WeightQuantization format)
    {
        ArgumentNullException.ThrowIfNull(format);
        return new QuantizationOptions
        {
            Layers = format,
            Embedding = ForLookup(format),
            Head = format,
        };
    }

    /// <summary>A format as a table of embeddings can have it.</summary>
    public static WeightQuantization ForLookup(WeightQuantization format)
    {
        ArgumentNullException.ThrowIfNull(format);
        return format.ZeroPoints == ZeroPoints.Float ? format with { ZeroPoints = ZeroPoints.Integer } : format;
    }

    /// <summary>Whether any format asks for what text does in the model.</summary>
    internal bool NeedsActivations => Formats.Any(format => format.Method == QuantizationMethod.Activation);

    /// <summary>What the function of products converts to the type of activations, of options as <see cref="For"/> gives them.</summary>
    internal MatMulNBitsCasts ProductCasts =>
        Formats.Any(HasFloatZeroPointsOfOtherType) ? MatMulNBitsCasts.ScalesAndZeroPoints
        : Formats.Any(format => format.Scales is not null) ? MatMulNBitsCasts.Scales
        : MatMulNBitsCasts.None;

    private IEnumerable<WeightQuantization> Formats =>
        ((WeightQuantization?[])[Layers, Embedding, Head]).OfType<WeightQuantization>();

    /// <summary>The format of checkpoint matrices that are stored as one; null where they stay as they are.</summary>
    internal WeightQuantization? FormatOf(ImmutableArray<string> tensors)
    {
        WeightQuantization? format = tensors switch
        {
            [BambaTensors.Embedding] => Embedding,
            [BambaTensors.LmHead] => Head,
            _ => Layers,
        };
        return tensors.Any(IsKept) ? null : format;
    }

    /// <summary>The bits of a model's smallest matrix elements; null where no matrix has fewer than the export's element type.</summary>
    internal int? LeastBits(BambaConfig config) =>
        BambaTensors
            .Of(config)
            .Where(tensor => tensor.Value.Length == 2)
            .Select(matrix => FormatOf([matrix.Key])?.Bits)
            .Min();

    /// <summary>
    /// The same for a model. Looked-up rows end with a whole group, so where groups do not divide hidden_size, those of the
    /// embedding are the largest smaller ones that do; without any, it keeps the export's element type. Scales of the element
    /// type of activations are not mentioned.
    /// </summary>
    /// <param name="config">The model's.</param>
    /// <param name="dtype">The element type of its activations.</param>
    /// <exception cref="ArgumentException">A format is none, or a name to keep names no matrix of the model.</exception>
    internal QuantizationOptions For(BambaConfig config, ElementType dtype)
    {
        foreach (WeightQuantization format in Formats)
        {
            RequireFormat(format, dtype);
        }
        Require(
            Embedding is not { ZeroPoints: ZeroPoints.Float },
            "expected integer zero points or none for embeddings, which are looked up; found float ones"
        );
        string[] matrices = [.. BambaTensors.Of(config).Where(tensor => tensor.Value.Length == 2).Select(t => t.Key)];
        foreach (string pattern in Keep)
        {
            Require(
                matrices.Any(name => FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false)),
                $"expected names to keep that match a matrix of the checkpoint, such as {matrices[^1]}; found {pattern}"
            );
        }
        QuantizationOptions options = this with
        {
            Layers = WithScalesOf(Layers, dtype),
            Embedding = WithScalesOf(WithGroupsThatDivide(Embedding, config.HiddenSize), dtype),
            Head = WithScalesOf(Head, dtype),
        };
        options.RequireOneFunction(config.TieWordEmbeddings);
        return options;
    }

    private static WeightQuantization? WithScalesOf(WeightQuantization? format, ElementType dtype) =>
        format?.Scales == dtype ? format with { Scales = null } : format;

    private static bool HasFloatZeroPointsOfOtherType(WeightQuantization format) =>
        format is { Scales: not null, ZeroPoints: ZeroPoints.Float };

    /// <summary>A function that converts zero points has no use for codes.</summary>
    private void RequireOneFunction(bool isTied)
    {
        WeightQuantization[] products =
        [
            .. ((WeightQuantization?[])[Layers, isTied ? Embedding : Head]).OfType<WeightQuantization>(),
        ];
        Require(
            !products.Any(HasFloatZeroPointsOfOtherType)
                || products.All(format => format.ZeroPoints == ZeroPoints.Float),
            "expected float zero points in every product where those of one are of another type than activations; found integer ones or none beside them"
                + (isTied ? ", as the embedding, which is looked up, is the head too" : "")
        );
    }

    private static WeightQuantization? WithGroupsThatDivide(WeightQuantization? format, int columns)
    {
        int? size = GroupSizes
            .Where(size => size <= format?.GroupSize && columns % size == 0)
            .Select(size => (int?)size)
            .Max();
        return size is { } found ? format! with { GroupSize = found } : null;
    }

    private bool IsKept(string tensor) =>
        Keep.Any(pattern => FileSystemName.MatchesSimpleExpression(pattern, tensor, ignoreCase: false));

    private static void RequireFormat(WeightQuantization format, ElementType dtype)
    {
        Require(format.Bits is 4 or 8, $"expected 4 or 8 bits, found {format.Bits}");
        Require(GroupSizes.Contains(format.GroupSize), $"expected groups of 32, 64 or 128, found {format.GroupSize}");
        Require(Enum.IsDefined(format.ZeroPoints), $"expected zero points as defined, found {format.ZeroPoints}");
        Require(
            format is not { Bits: 8, ZeroPoints: ZeroPoints.Float },
            "expected 4 bits with float zero points, as ONNX Runtime has no such kernels for 8; found 8"
        );
        Require(Enum.IsDefined(format.Method), $"expected a method as defined, found {format.Method}");
        Require(
            format is not { Method: QuantizationMethod.Hqq, ZeroPoints: ZeroPoints.None },
            "expected zero points, integer or float, with the method hqq, which chooses nothing else; found none"
        );
        Require(
            format.Scales is null
                || format.Scales == dtype
                || (dtype == ElementType.Float32 && format.Scales == ElementType.Float16),
            $"expected scales of {(dtype == ElementType.Float32 ? "f32 or f16" : dtype.ShortName())} with activations of {dtype.ShortName()}, found {format.Scales?.ShortName()}"
        );
    }

    private static void Require(bool holds, string problem)
    {
        if (!holds)
        {
            throw new ArgumentException($"quantization: {problem}");
        }
    }
}
