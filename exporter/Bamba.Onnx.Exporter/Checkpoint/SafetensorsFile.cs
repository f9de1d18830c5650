using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Collections.Immutable;
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
/// the whole header, so that the tensors of <see cref="Tensors"/> fill the file exactly and overlap nothing. Reading is safe
/// from several threads.
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
    /// <param name="tensor">A tensor of <see cref="Tensors"/>.</param>
    /// <param name="byteOffset">Where to start, from the tensor's first byte.</param>
    /// <param name="destination">What to fill.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range ends past the tensor.</exception>
    /// <exception cref="BambaFormatException">The file became shorter or unreadable since it was opened.</exception>
    public void Read(SafetensorsTensor tensor, long byteOffset, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfNegative(byteOffset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(byteOffset, tensor.Bytes - destination.Length);
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
        long limit = Math.Min(MaxHeaderBytes, fileBytes - prefix.Length);
        if (headerBytes > (ulong)limit)
        {
            throw new BambaFormatException(
                path,
                $"expected a header within {limit} bytes, found a length of {headerBytes}"
            );
        }
        byte[] header = new byte[headerBytes];
        ReadExactly(path, handle, prefix.Length, header, "header");
        long dataStart = prefix.Length + header.Length;
        return SafetensorsHeader
            .Parse(path, header, dataStart, fileBytes - dataStart)
            .ToFrozenDictionary(tensor => tensor.Name);
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
