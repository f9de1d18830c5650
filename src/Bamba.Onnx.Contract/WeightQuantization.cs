using System.Text.Json.Serialization;

namespace Bamba.Onnx.Contract;

/// <summary>
/// How the matrices of a model are stored in fewer bits: in groups of neighbours along a row, each with a scale s and perhaps a
/// zero point z, so that a code q stands for (q − z) · s. It is what ONNX Runtime's <c>MatMulNBits</c> and
/// <c>GatherBlockQuantized</c> read.
/// </summary>
public sealed record WeightQuantization
{
    /// <summary>Bits of a code: 4 or 8.</summary>
    public required int Bits { get; init; }

    /// <summary>Weights of a group, which are neighbours in a row of the checkpoint's matrix: 32, 64 or 128.</summary>
    public required int GroupSize { get; init; }

    /// <summary>What the groups' zero points are.</summary>
    public ZeroPoints ZeroPoints { get; init; }

    /// <summary>
    /// The element type of scales, and of zero points that are numbers; null for that of the model's activations. Float32
    /// activations go with scales of float16 too, which take half the room.
    /// </summary>
    public ElementType? Scales { get; init; }

    /// <summary>How scales, zero points and codes were chosen.</summary>
    public QuantizationMethod Method { get; init; }

    /// <summary>The code that stands for zero where there are no zero points: the middle, 8 or 128.</summary>
    [JsonIgnore]
    public int MiddleCode => 1 << (Bits - 1);

    /// <summary>The largest code: 15 or 255.</summary>
    [JsonIgnore]
    public int LargestCode => (1 << Bits) - 1;

    /// <summary>Bytes of a group's codes.</summary>
    [JsonIgnore]
    public int GroupBytes => GroupSize * Bits / 8;

    /// <summary>Bytes of a row's zero points that are codes: packed as codes are, each row from a byte of its own.</summary>
    public long PackedZeroPointBytesOf(long columns) => ((GroupsOf(columns) * Bits) + 7) / 8;

    /// <summary>Groups of a row, the last of which may be filled up.</summary>
    public long GroupsOf(long columns) => (columns + GroupSize - 1) / GroupSize;
}

/// <summary>Zero points of quantized groups.</summary>
public enum ZeroPoints
{
    /// <summary>None: the middle code stands for zero in every group.</summary>
    None,

    /// <summary>A code a group stands for zero.</summary>
    Integer,

    /// <summary>A number a group, of the scales' element type, not rounded to a code.</summary>
    Float,
}

/// <summary>How quantized values are chosen.</summary>
public enum QuantizationMethod
{
    /// <summary>Scale and zero point from a group's extremes, and every weight to the nearest code.</summary>
    Nearest,

    /// <summary>Scale and zero point searched for the least error of the group, with no other data than the weights.</summary>
    Search,

    /// <summary>The search, with errors weighed by the activations that text brings to each input channel.</summary>
    Activation,

    /// <summary>
    /// The scale of the extremes with the zero point of half-quadratic quantization, which large errors of a few weights do not decide;
    /// with no other data than the weights.
    /// </summary>
    Hqq,
}
