using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Microsoft.Win32.SafeHandles;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>
/// Writes a safetensors file: the header and the room for all tensors at creation, then bytes by position in any order. What
/// is not written reads as zero. Writing is safe from several threads.
/// </summary>
public sealed class SafetensorsWriter : IDisposable
{
    private readonly SafeFileHandle handle;

    private SafetensorsWriter(SafeFileHandle handle, ImmutableArray<SafetensorsTensor> tensors)
    {
        this.handle = handle;
        Tensors = tensors;
    }

    /// <summary>The tensors, in the order of their bytes.</summary>
    public ImmutableArray<SafetensorsTensor> Tensors { get; }

    /// <summary>Creates a file; one of that name is replaced.</summary>
    /// <param name="path">The file.</param>
    /// <param name="tensors">Name, element type and shape of each tensor, in the order of their bytes.</param>
    /// <exception cref="ArgumentException">A name is given twice.</exception>
    /// <exception cref="IOException">The file cannot be created, or the disk has no room for it.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be created.</exception>
    public static SafetensorsWriter Create(
        string path,
        IEnumerable<(string Name, ElementType Type, ImmutableArray<long> Shape)> tensors
    )
    {
        ArgumentNullException.ThrowIfNull(path);
        ArgumentNullException.ThrowIfNull(tensors);
        SafetensorsTensor[] sized =
        [
            .. tensors.Select(tensor => new SafetensorsTensor(
                tensor.Name,
                tensor.Type,
                tensor.Shape,
                Offset: 0,
                checked(TensorShape.Elements(tensor.Shape) * tensor.Type.SizeInBytes())
            )),
        ];
        if (sized.CountBy(tensor => tensor.Name).FirstOrDefault(count => count.Value > 1).Key is { } twice)
        {
            throw new ArgumentException($"tensor {twice}: given twice", nameof(tensors));
        }
        byte[] header = SafetensorsHeader.Format(sized);
        long offset = header.Length;
        for (int i = 0; i < sized.Length; i++)
        {
            sized[i] = sized[i] with { Offset = offset };
            offset += sized[i].Bytes;
        }
        SafeFileHandle handle = PreallocatedFile.Create(path, FileMode.Create, offset);
        try
        {
            RandomAccess.Write(handle, header, 0);
            return new SafetensorsWriter(handle, [.. sized]);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Writes bytes of a tensor.</summary>
    /// <param name="tensor">A tensor of <see cref="Tensors"/>.</param>
    /// <param name="byteOffset">Where, from the tensor's first byte.</param>
    /// <param name="bytes">What, little-endian elements in row-major order.</param>
    /// <exception cref="ArgumentOutOfRangeException">The range ends past the tensor.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void Write(SafetensorsTensor tensor, long byteOffset, ReadOnlySpan<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        ArgumentOutOfRangeException.ThrowIfNegative(byteOffset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(byteOffset, tensor.Bytes - bytes.Length);
        RandomAccess.Write(handle, bytes, tensor.Offset + byteOffset);
    }

    /// <inheritdoc/>
    public void Dispose() => handle.Dispose();
}
