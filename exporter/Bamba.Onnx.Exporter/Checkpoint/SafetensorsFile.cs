using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Numerics;
using System.Text.Json;
using Bamba.Onnx.Contract;
using Microsoft.Win32.SafeHandles;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>A tensor in a safetensors file.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Shape">Its sizes, outermost first.</param>
/// <param name="Offset">Where its bytes start, from the start of the file.</param>
/// <param name="Bytes">How many there are, row-major without gaps.</param>
public sealed record SafetensorsTensor(
    string Name,
    ElementType Type,
    ImmutableArray<long> Shape,
    long Offset,
    long Bytes
);

/// <summary>
/// A safetensors file (8 bytes of header length, a JSON header, then the tensors' bytes), read by position. Opening checks
/// the whole header, so that what is in <see cref="Tensors"/> lies inside the file and overlaps nothing.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>The longest header that the format allows, bytes.</summary>
    public const long MaxHeaderBytes = 100_000_000;

    private readonly SafeFileHandle handle;

    private SafetensorsFile(string path, SafeFileHandle handle, FrozenDictionary<string, SafetensorsTensor> tensors)
    {
        Path = path;
        this.handle = handle;
        Tensors = tensors;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsTensor> Tensors { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="BambaFormatException">The file is missing or unreadable, or its header is damaged or untrue.</exception>
    public static SafetensorsFile Open(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        SafeFileHandle? handle = null;
        try
        {
            handle = File.OpenHandle(path);
            return new SafetensorsFile(path, handle, ReadHeader(path, handle));
        }
        catch (Exception e)
        {
            handle?.Dispose();
            switch (e)
            {
                case FileNotFoundException or DirectoryNotFoundException:
                    throw new BambaFormatException(path, "no such file", e);
                case IOException or UnauthorizedAccessException:
                    throw new BambaFormatException(path, $"cannot be read: {e.Message}", e);
                default:
                    throw;
            }
        }
    }

    /// <summary>Fills <paramref name="destination"/> with a tensor's bytes from <paramref name="byteOffset"/> on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range ends past the tensor.</exception>
    /// <exception cref="BambaFormatException">The file became shorter or unreadable since it was opened.</exception>
    public void Read(SafetensorsTensor tensor, long byteOffset, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfNegative(byteOffset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            byteOffset + destination.Length,
            tensor.Bytes,
            nameof(byteOffset)
        );
        ReadExactly(Path, handle, tensor.Offset + byteOffset, destination, tensor.Name);
    }

    /// <inheritdoc/>
    public void Dispose() => handle.Dispose();

    private static FrozenDictionary<string, SafetensorsTensor> ReadHeader(string path, SafeFileHandle handle)
    {
        long fileBytes = RandomAccess.GetLength(handle);
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        if (fileBytes < prefix.Length)
        {
            throw new BambaFormatException(path, $"expected a safetensors header, found a file of {fileBytes} bytes");
        }
        ReadExactly(path, handle, 0, prefix, "header length");
        ulong headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerBytes > MaxHeaderBytes || (long)headerBytes > fileBytes - prefix.Length)
        {
            throw new BambaFormatException(
                path,
                $"expected a header within {Math.Min(MaxHeaderBytes, fileBytes - prefix.Length)} bytes, found a length of {headerBytes}"
            );
        }
        byte[] header = new byte[headerBytes];
        ReadExactly(path, handle, prefix.Length, header, "header");

        try
        {
            using JsonDocument json = JsonDocument.Parse(header);
            long dataStart = prefix.Length + header.Length;
            return ReadTensors(path, json.RootElement, dataStart, fileBytes - dataStart);
        }
        catch (JsonException e)
        {
            throw new BambaFormatException(path, $"expected a JSON header: {e.Message}", e);
        }
    }

    private static FrozenDictionary<string, SafetensorsTensor> ReadTensors(
        string path,
        JsonElement header,
        long dataStart,
        long dataBytes
    )
    {
        if (header.ValueKind != JsonValueKind.Object)
        {
            throw new BambaFormatException(path, $"expected a JSON object as header, found {header.ValueKind}");
        }
        var tensors = new Dictionary<string, SafetensorsTensor>();
        foreach (JsonProperty entry in header.EnumerateObject())
        {
            if (entry.Name == "__metadata__")
            {
                continue;
            }
            SafetensorsTensor tensor = ReadTensor(path, entry.Name, entry.Value, dataStart, dataBytes);
            if (!tensors.TryAdd(entry.Name, tensor))
            {
                throw new BambaFormatException(path, $"tensor {entry.Name}: found twice in the header");
            }
        }
        RequireNoOverlap(path, tensors.Values);
        return tensors.ToFrozenDictionary();
    }

    private static SafetensorsTensor ReadTensor(
        string path,
        string name,
        JsonElement entry,
        long dataStart,
        long dataBytes
    )
    {
        if (
            entry.ValueKind != JsonValueKind.Object
            || !entry.TryGetProperty("dtype", out JsonElement dtype)
            || !entry.TryGetProperty("shape", out JsonElement shape)
            || !entry.TryGetProperty("data_offsets", out JsonElement offsets)
        )
        {
            throw Error("expected dtype, shape and data_offsets in the header");
        }
        if (dtype.ValueKind != JsonValueKind.String || !ElementTypes.TryParse(dtype.GetString()!, out ElementType type))
        {
            throw Error($"expected dtype F32, F16, BF16, I32 or I64, found {dtype.GetRawText()}");
        }
        long[] sizes = Integers(shape, "shape");
        long[] range = Integers(offsets, "data_offsets");
        if (range.Length != 2 || range[0] > range[1])
        {
            throw Error($"expected data_offsets [start, end], found {offsets.GetRawText()}");
        }
        if (range[1] > dataBytes)
        {
            throw Error($"expected data within the file's {dataBytes} bytes, found data_offsets up to {range[1]}");
        }
        BigInteger expected = sizes.Aggregate(new BigInteger(type.SizeInBytes()), (product, size) => product * size);
        if (expected != range[1] - range[0])
        {
            throw Error(
                $"expected {expected} bytes for {dtype.GetString()} [{string.Join(", ", sizes)}], found {range[1] - range[0]}"
            );
        }
        return new SafetensorsTensor(name, type, [.. sizes], dataStart + range[0], range[1] - range[0]);

        long[] Integers(JsonElement list, string what)
        {
            if (list.ValueKind == JsonValueKind.Array)
            {
                var values = new List<long>();
                foreach (JsonElement item in list.EnumerateArray())
                {
                    if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out long value) || value < 0)
                    {
                        throw Error($"expected integers that are not negative as {what}, found {item.GetRawText()}");
                    }
                    values.Add(value);
                }
                return [.. values];
            }
            throw Error($"expected a list as {what}, found {list.ValueKind}");
        }

        BambaFormatException Error(string problem) => new(path, $"tensor {name}: {problem}");
    }

    private static void RequireNoOverlap(string path, IEnumerable<SafetensorsTensor> tensors)
    {
        SafetensorsTensor? previous = null;
        foreach (SafetensorsTensor tensor in tensors.Where(t => t.Bytes > 0).OrderBy(t => t.Offset))
        {
            if (previous is not null && tensor.Offset < previous.Offset + previous.Bytes)
            {
                throw new BambaFormatException(
                    path,
                    $"tensor {tensor.Name}: its data overlaps that of {previous.Name}"
                );
            }
            previous = tensor;
        }
    }

    private static void ReadExactly(
        string path,
        SafeFileHandle handle,
        long position,
        Span<byte> destination,
        string what
    )
    {
        while (!destination.IsEmpty)
        {
            int read;
            try
            {
                read = RandomAccess.Read(handle, destination, position);
            }
            catch (IOException e)
            {
                throw new BambaFormatException(path, $"{what} cannot be read: {e.Message}", e);
            }
            if (read == 0)
            {
                throw new BambaFormatException(
                    path,
                    $"{what}: the file ends at byte {position}, {destination.Length} too early"
                );
            }
            destination = destination[read..];
            position += read;
        }
    }
}
