using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>A tensor of the weights files.</summary>
/// <param name="Name">Its name in the graph.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its sizes, outermost first.</param>
/// <param name="Shard">Which of the files it is in, from 0.</param>
/// <param name="Offset">Where its bytes start in that file.</param>
/// <param name="Bytes">Its size, row-major without gaps.</param>
/// <param name="Source">Where its values come from.</param>
public sealed record WeightEntry(
    string Name,
    ElementType Type,
    ImmutableArray<long> Shape,
    int Shard,
    long Offset,
    long Bytes,
    WeightSource Source
);

/// <summary>
/// What weights files will hold, in order. Each entry's place is settled when it is added, so that a graph can refer to it
/// long before anything is written.
/// </summary>
/// <param name="maxShardBytes">
/// The most bytes of a file, after which another begins; an entry of more has a file of its own. Null for a single file.
/// </param>
public sealed class WeightPlan(long? maxShardBytes = null)
{
    /// <summary>Entries of at least this size start at a multiple of it, so that each can be mapped by itself; bytes.</summary>
    public const int PageBytes = 4096;

    /// <summary>What smaller entries start at a multiple of: a cache line; bytes.</summary>
    public const int LineBytes = 64;

    private readonly List<WeightEntry> entries = [];
    private readonly List<long> shardBytes = [0];
    private readonly Dictionary<string, WeightEntry> byName = [];
    private readonly Dictionary<string, QuantizedEntries> quantized = [];

    /// <summary>The entries, in the order of their bytes.</summary>
    public IReadOnlyList<WeightEntry> Entries => entries;

    /// <summary>The matrices that are quantized, in order, by what they are called.</summary>
    public IEnumerable<KeyValuePair<string, WeightQuantization>> QuantizedMatrices =>
        entries
            .Select(entry => entry.Source)
            .OfType<WeightSource.Quantized>()
            .Select(source => KeyValuePair.Create(source.Rows.Name, source.Rows.Format));

    /// <summary>
    /// By the name of a linear layer's weight, the mean square of each of its input channels: what matrices are quantized by that
    /// ask for activations. Empty where that is not known.
    /// </summary>
    public IReadOnlyDictionary<string, float[]> MeanSquares { get; set; } = new Dictionary<string, float[]>();

    /// <summary>The sizes of the files, at least one: each the end of its last entry.</summary>
    public IReadOnlyList<long> ShardBytes => shardBytes;

    /// <summary>The size of all files together.</summary>
    public long FileBytes => shardBytes.Sum();

    /// <summary>The entry of a name, put at the end if there is none yet: graphs that share a file ask for the same tensors.</summary>
    /// <exception cref="ArgumentException">The plan has an entry of that name with another type or shape, or a size is negative.</exception>
    public WeightEntry GetOrAdd(string name, ElementType type, ImmutableArray<long> shape, WeightSource source)
    {
        WeightEntry? known = byName.GetValueOrDefault(name);
        if (known is not null && (known.Type != type || !known.Shape.SequenceEqual(shape)))
        {
            throw new ArgumentException(
                $"{name}: expected {known.Type.ShortName()} {TensorShape.Text(known.Shape)} as before, found {type.ShortName()} {TensorShape.Text(shape)}",
                nameof(name)
            );
        }
        return known ?? Add(name, type, shape, source);
    }

    /// <summary>
    /// The parts of a quantized matrix, put at the end if there are none yet: NAME.scales, NAME.zero_points, NAME.codes.
    /// </summary>
    /// <param name="name">What the matrix is called.</param>
    /// <param name="tensors">Checkpoint matrices of as many columns, one behind another along the rows.</param>
    /// <param name="size">Rows and columns of all of them together.</param>
    /// <param name="format">Bits, groups and zero points.</param>
    /// <param name="scaleType">The element type of scales.</param>
    internal QuantizedEntries Quantized(
        string name,
        ImmutableArray<string> tensors,
        (long Rows, long Columns) size,
        WeightQuantization format,
        ElementType scaleType
    )
    {
        if (quantized.TryGetValue(name, out QuantizedEntries? known))
        {
            return known;
        }
        long groups = format.GroupsOf(size.Columns);
        WeightEntry scales = Add($"{name}.scales", scaleType, [size.Rows, groups], WeightSource.WithCodes);
        WeightEntry? zeroPoints = format.ZeroPoints switch
        {
            ZeroPoints.Integer => Add(
                $"{name}.zero_points",
                ElementType.UInt8,
                [size.Rows, format.PackedZeroPointBytesOf(size.Columns)],
                WeightSource.WithCodes
            ),
            ZeroPoints.Float => Add($"{name}.zero_points", scaleType, [size.Rows, groups], WeightSource.WithCodes),
            _ => null,
        };
        WeightEntry codes = Add(
            $"{name}.codes",
            ElementType.UInt8,
            [size.Rows, groups * format.GroupBytes],
            WeightSource.QuantizedFrom(new QuantizedRows(name, tensors, size.Columns, format, scales, zeroPoints))
        );
        return quantized[name] = new QuantizedEntries(codes, scales, zeroPoints);
    }

    /// <summary>Puts a tensor at the end.</summary>
    /// <param name="name">Its name in the graph.</param>
    /// <param name="type">Its element type.</param>
    /// <param name="shape">Its sizes, outermost first.</param>
    /// <param name="source">Where its values come from.</param>
    /// <returns>The entry, with its place.</returns>
    /// <exception cref="ArgumentException">The plan has an entry of that name, or a size is negative.</exception>
    public WeightEntry Add(string name, ElementType type, ImmutableArray<long> shape, WeightSource source)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(source);
        if (shape.IsDefault || shape.Any(size => size < 0))
        {
            throw new ArgumentException($"{name}: expected sizes that are not negative", nameof(shape));
        }
        long bytes = checked(TensorShape.Elements(shape) * type.SizeInBytes());
        if (byName.ContainsKey(name))
        {
            throw new ArgumentException($"{name}: the plan has an entry of this name", nameof(name));
        }
        int alignment = bytes >= PageBytes ? PageBytes : LineBytes;
        long offset = checked(shardBytes[^1] + alignment - 1) / alignment * alignment;
        if (shardBytes[^1] > 0 && checked(offset + bytes) > (maxShardBytes ?? long.MaxValue))
        {
            shardBytes.Add(0);
            offset = 0;
        }
        var entry = new WeightEntry(name, type, shape, shardBytes.Count - 1, offset, bytes, source);
        shardBytes[^1] = checked(offset + bytes);
        entries.Add(entry);
        byName.Add(name, entry);
        return entry;
    }
}
