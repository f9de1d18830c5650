using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.SyntheticCheckpoint;

namespace Bamba.Onnx.SyntheticWeights;

/// <summary>
/// Values at the scale of a trained model's: matrices normal around zero, norms and D around one, and Mamba's parameters as its
/// own initialisation spreads them. They follow from seed and name alone, whichever thread asks.
/// </summary>
/// <remarks>
/// Normal values are drawn once, into a block of a few megabytes. A piece of a matrix is a stretch of that block, from a place of
/// its own, so that no two tensors agree and a piece costs nothing but its writing.
/// </remarks>
internal sealed class WeightValues
{
    private const int BlockElements = 2 * WeightPiece.MostElements;
    private const double SpreadAroundOne = 0.1;
    private const double ConvDeviation = 0.3;
    private const double LargestDecay = 16;
    private const string Scales = ".scales";
    private const string ZeroPoints = ".zero_points";

    private readonly double deviation;
    private readonly ulong seed;
    private readonly float[] frequencies;
    private readonly Dictionary<string, WeightQuantization> quantized;
    private readonly Dictionary<ElementType, byte[]> blocks = [];

    /// <summary>Draws the block for each element type that matrices have.</summary>
    public WeightValues(
        BambaConfig config,
        ulong seed,
        IEnumerable<ExternalTensor> tensors,
        IEnumerable<ManifestMatrix> quantized
    )
    {
        this.quantized = quantized.ToDictionary(matrix => matrix.Name, matrix => matrix.Format);
        deviation = config.InitializerRange;
        this.seed = seed;
        frequencies = config.Rope.InverseFrequencies();
        Random random = SeededValues.RandomOf(seed, "normal block");
        var normal = new float[BlockElements];
        foreach (ref float value in normal.AsSpan())
        {
            value = (float)(deviation * SeededValues.Normal(random));
        }
        foreach (ElementType type in tensors.Where(IsMatrix).Select(tensor => tensor.Type).Distinct())
        {
            blocks.Add(type, type == ElementType.UInt8 ? Bytes(random) : Encode(normal, type));
        }
    }

    /// <summary>A piece's bytes.</summary>
    /// <exception cref="BambaException">No rule says what values a tensor of this name has.</exception>
    public ReadOnlyMemory<byte> BytesOf(WeightPiece piece)
    {
        ExternalTensor tensor = piece.Tensor;
        Random random = SeededValues.RandomOf(seed, $"{tensor.Name} {piece.Index}");
        if (IsMatrix(tensor))
        {
            int size = tensor.Type.SizeInBytes();
            int start = random.Next(BlockElements - piece.Count + 1);
            return blocks[tensor.Type].AsMemory(start * size, piece.Count * size);
        }
        Func<long, double> value = ValueOf(tensor, random);
        var values = new float[piece.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)value(piece.First + i);
        }
        return Encode(values, tensor.Type);
    }

    private static bool IsMatrix(ExternalTensor tensor) =>
        Ends(tensor.Name, ".codes")
        || (tensor.Shape.Length == 2 && Ends(tensor.Name, ".weight") && !Ends(tensor.Name, ".conv1d.weight"));

    private static bool Ends(string name, string with) => name.EndsWith(with, StringComparison.Ordinal);

    /// <summary>What gives the elements of a tensor that is no matrix, in order.</summary>
    private Func<long, double> ValueOf(ExternalTensor tensor, Random random)
    {
        return tensor.Name switch
        {
            var name when Ends(name, "rotary_emb.cos") => element => Math.Cos(AngleAt(element)),
            var name when Ends(name, "rotary_emb.sin") => element => Math.Sin(AngleAt(element)),
            var name when Ends(name, ".A_log") => _ => Math.Log(1 + ((LargestDecay - 1) * random.NextDouble())),
            var name when Ends(name, ".dt_bias") => _ => SeededValues.TimeStepBias(random),
            var name when Ends(name, ".D") || Ends(name, "norm.weight") => _ =>
                1 + (SpreadAroundOne * SeededValues.Normal(random)),
            var name when Ends(name, ".conv1d.weight") => _ => ConvDeviation * SeededValues.Normal(random),
            var name when Ends(name, "zero_bias") => _ => 0,
            var name when Ends(name, ".bias") => _ => deviation * SeededValues.Normal(random),
            var name when Ends(name, Scales) => _ => deviation / CodeDeviation(FormatOf(name, Scales)),
            var name when Ends(name, ZeroPoints) => _ => MiddleCodes(FormatOf(name, ZeroPoints), tensor.Type),
            _ => throw new BambaException($"{tensor.Name}: no rule says what its values are"),
        };
    }

    private WeightQuantization FormatOf(string name, string part) => quantized[name[..^part.Length]];

    /// <summary>The deviation of codes that are all as likely.</summary>
    private static double CodeDeviation(WeightQuantization format) =>
        Math.Sqrt((Math.Pow(format.LargestCode + 1, 2) - 1) / 12);

    /// <summary>The middle code, as often as an element holds it.</summary>
    private static double MiddleCodes(WeightQuantization format, ElementType type) =>
        type == ElementType.UInt8 && format.Bits == 4 ? format.MiddleCode * 0x11 : format.MiddleCode;

    private static byte[] Bytes(Random random)
    {
        byte[] bytes = new byte[BlockElements];
        random.NextBytes(bytes);
        return bytes;
    }

    /// <summary>Position times inverse frequency, float32, as the exporter's tables have it.</summary>
    private float AngleAt(long element) =>
        element / frequencies.Length * frequencies[(int)(element % frequencies.Length)];

    private static byte[] Encode(ReadOnlySpan<float> values, ElementType type)
    {
        byte[] bytes = new byte[values.Length * type.SizeInBytes()];
        switch (type)
        {
            case ElementType.Float32:
                values.CopyTo(MemoryMarshal.Cast<byte, float>(bytes.AsSpan()));
                break;
            case ElementType.UInt8:
                for (int i = 0; i < values.Length; i++)
                {
                    bytes[i] = (byte)values[i];
                }
                break;
            case ElementType.Float16:
                Span<Half> halves = MemoryMarshal.Cast<byte, Half>(bytes.AsSpan());
                for (int i = 0; i < values.Length; i++)
                {
                    halves[i] = (Half)values[i];
                }
                break;
            default:
                Span<ushort> upper = MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan());
                for (int i = 0; i < values.Length; i++)
                {
                    // To the nearest, ties to even; the values are finite.
                    uint bits = BitConverter.SingleToUInt32Bits(values[i]);
                    upper[i] = (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
                }
                break;
        }
        return bytes;
    }
}
