using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text.Json;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>The JSON header of a safetensors file: name to dtype, shape and the range of its bytes after the header.</summary>
internal static class SafetensorsHeader
{
    private const string MetadataKey = "__metadata__";

    // PyTorch's own limit; without one, a header of 100 MB could hold a single shape of fifty million axes.
    private const int MaxAxes = 64;

    /// <summary>Reads a header that may be damaged or lie.</summary>
    /// <param name="path">What error messages name.</param>
    /// <param name="header">The JSON, UTF-8.</param>
    /// <param name="dataStart">Where the tensors' bytes start in the file.</param>
    /// <param name="dataBytes">How many the file has.</param>
    /// <returns>The tensors, in order of their bytes.</returns>
    /// <exception cref="BambaFormatException">The header is not JSON of this form, or its tensors do not fill the data exactly.</exception>
    public static List<SafetensorsTensor> Parse(
        string path,
        ReadOnlyMemory<byte> header,
        long dataStart,
        long dataBytes
    )
    {
        using JsonDocument json = CheckpointJson.Parse(path, header);
        if (json.RootElement.ValueKind != JsonValueKind.Object)
        {
            throw new BambaFormatException(
                path,
                $"expected a JSON object as header, found {CheckpointJson.Describe(json.RootElement)}"
            );
        }
        var tensors = new List<SafetensorsTensor>();
        foreach (JsonProperty entry in json.RootElement.EnumerateObject())
        {
            if (entry.Name != MetadataKey)
            {
                tensors.Add(new EntryReader(path, entry.Name, dataStart, dataBytes).Read(entry.Value));
            }
        }
        // Of tensors that start at one byte, the empty ones come first.
        tensors.Sort((a, b) => (a.Offset, a.Bytes).CompareTo((b.Offset, b.Bytes)));
        RequireGapless(path, tensors, dataStart, dataStart + dataBytes);
        return tensors;
    }

    /// <summary>The header with its length in front, padded with spaces so that the data after it is aligned to 8 bytes.</summary>
    /// <param name="tensors">The tensors in the order of their bytes; their own offsets are not used.</param>
    public static byte[] Format(IEnumerable<SafetensorsTensor> tensors)
    {
        using var stream = new MemoryStream();
        stream.Write(stackalloc byte[sizeof(ulong)]);
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            // Hugging Face's loaders refuse a file that does not say which framework's layout it has.
            json.WriteStartObject(MetadataKey);
            json.WriteString("format", "pt");
            json.WriteEndObject();
            long offset = 0;
            foreach (SafetensorsTensor tensor in tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.ShortName().ToUpperInvariant());
                WriteIntegers(json, "shape", tensor.Shape);
                WriteIntegers(json, "data_offsets", [offset, offset + tensor.Bytes]);
                json.WriteEndObject();
                offset += tensor.Bytes;
            }
            json.WriteEndObject();
        }
        while (stream.Length % sizeof(ulong) != 0)
        {
            stream.WriteByte((byte)' ');
        }
        byte[] header = stream.ToArray();
        BinaryPrimitives.WriteUInt64LittleEndian(header, (ulong)(header.Length - sizeof(ulong)));
        return header;
    }

    private static void WriteIntegers(Utf8JsonWriter json, string key, ImmutableArray<long> values)
    {
        json.WriteStartArray(key);
        foreach (long value in values)
        {
            json.WriteNumberValue(value);
        }
        json.WriteEndArray();
    }

    private static void RequireGapless(string path, List<SafetensorsTensor> tensors, long start, long end)
    {
        long position = start;
        string before = "the header";
        foreach (SafetensorsTensor tensor in tensors)
        {
            if (tensor.Offset != position)
            {
                string relation = tensor.Offset < position ? "overlaps" : "leaves a gap after";
                throw new BambaFormatException(path, $"tensor {tensor.Name}: its data {relation} that of {before}");
            }
            position += tensor.Bytes;
            before = tensor.Name;
        }
        if (position != end)
        {
            throw new BambaFormatException(
                path,
                $"expected {position - start} bytes of tensors after the header, found {end - start}"
            );
        }
    }

    /// <summary>Reads the description of one tensor.</summary>
    private readonly struct EntryReader(string path, string name, long dataStart, long dataBytes)
    {
        public SafetensorsTensor Read(JsonElement entry)
        {
            if (
                entry.ValueKind != JsonValueKind.Object
                || !entry.TryGetProperty("dtype", out JsonElement dtype)
                || !entry.TryGetProperty("shape", out JsonElement shape)
                || !entry.TryGetProperty("data_offsets", out JsonElement offsets)
            )
            {
                throw Error($"expected dtype, shape and data_offsets, found {CheckpointJson.Describe(entry)}");
            }
            ElementType type = Type(dtype);
            ImmutableArray<long> sizes = Integers(shape, "shape");
            ImmutableArray<long> range = Integers(offsets, "data_offsets");
            if (range.Length != 2 || range[0] > range[1])
            {
                throw Error($"expected data_offsets [start, end], found {CheckpointJson.Describe(offsets)}");
            }
            if (range[1] > dataBytes)
            {
                throw Error($"expected data within the file's {dataBytes} bytes, found data_offsets up to {range[1]}");
            }
            long bytes = Bytes(type, sizes);
            if (bytes != range[1] - range[0])
            {
                throw Error(
                    $"expected {bytes} bytes for {type.ShortName()} {TensorShape.Text(sizes)}, found {range[1] - range[0]}"
                );
            }
            return new SafetensorsTensor(name, type, sizes, dataStart + range[0], bytes);
        }

        private ElementType Type(JsonElement dtype) =>
            (dtype.ValueKind == JsonValueKind.String ? CheckpointJson.Text(path, dtype) : null) switch
            {
                "F32" => ElementType.Float32,
                "F16" => ElementType.Float16,
                "BF16" => ElementType.BFloat16,
                "I32" => ElementType.Int32,
                "I64" => ElementType.Int64,
                _ => throw Error($"expected dtype F32, F16, BF16, I32 or I64, found {CheckpointJson.Describe(dtype)}"),
            };

        private ImmutableArray<long> Integers(JsonElement list, string what)
        {
            if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() > MaxAxes)
            {
                throw Error($"expected a list of at most {MaxAxes} as {what}, found {CheckpointJson.Describe(list)}");
            }
            var values = ImmutableArray.CreateBuilder<long>(list.GetArrayLength());
            foreach (JsonElement item in list.EnumerateArray())
            {
                if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out long value) || value < 0)
                {
                    throw Error(
                        $"expected integers that are not negative as {what}, found {CheckpointJson.Describe(item)}"
                    );
                }
                values.Add(value);
            }
            return values.MoveToImmutable();
        }

        private long Bytes(ElementType type, ImmutableArray<long> shape)
        {
            try
            {
                return checked(TensorShape.Elements(shape) * type.SizeInBytes());
            }
            catch (OverflowException e)
            {
                throw new BambaFormatException(
                    path,
                    $"tensor {name}: expected a size that fits the file, found shape {TensorShape.Text(shape)}",
                    e
                );
            }
        }

        private BambaFormatException Error(string problem) => new(path, $"tensor {name}: {problem}");
    }
}
