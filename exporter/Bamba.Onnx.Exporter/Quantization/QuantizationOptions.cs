using System.Collections.Immutable;
using System.IO.Enumeration;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

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
    internal bool NeedsActivations =>
        ((WeightQuantization?[])[Layers, Embedding, Head]).Any(format =>
            format?.Method == QuantizationMethod.Activation
        );

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
    /// embedding are the largest smaller ones that do; without any, it keeps the export's element type.
    /// </summary>
    /// <exception cref="ArgumentException">A format is none, or a name to keep names no matrix of the model.</exception>
    internal QuantizationOptions For(BambaConfig config)
    {
        foreach (
            WeightQuantization format in ((WeightQuantization?[])[Layers, Embedding, Head]).OfType<WeightQuantization>()
        )
        {
            RequireFormat(format);
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
        return this with { Embedding = WithGroupsThatDivide(Embedding, config.HiddenSize) };
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

    private static void RequireFormat(WeightQuantization format)
    {
        Require(format.Bits is 4 or 8, $"expected 4 or 8 bits, found {format.Bits}");
        Require(GroupSizes.Contains(format.GroupSize), $"expected groups of 32, 64 or 128, found {format.GroupSize}");
        Require(Enum.IsDefined(format.ZeroPoints), $"expected zero points as defined, found {format.ZeroPoints}");
        Require(
            format is not { Bits: 8, ZeroPoints: ZeroPoints.Float },
            "expected 4 bits with float zero points, as ONNX Runtime has no such kernels for 8; found 8"
        );
        Require(Enum.IsDefined(format.Method), $"expected a method as defined, found {format.Method}");
    }

    private static void Require(bool holds, string problem)
    {
        if (!holds)
        {
            throw new ArgumentException($"quantization: {problem}");
        }
    }
}
