using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Checkpoint;

/// <summary>The tensors of a small safetensors file as plain arrays, row-major: expected values and the like.</summary>
public sealed class SafetensorsValues : IDisposable
{
    private readonly SafetensorsFile file;

    private SafetensorsValues(SafetensorsFile file) => this.file = file;

    /// <summary>The names of all tensors.</summary>
    public IEnumerable<string> Names => file.Tensors.Keys;

    /// <summary>Opens a file.</summary>
    /// <exception cref="BambaFormatException">The file is missing or unreadable, or its header is damaged or untrue.</exception>
    public static SafetensorsValues Open(string path) => new(SafetensorsFile.Open(path));

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Contains(string name) => file.Tensors.ContainsKey(name);

    /// <summary>The sizes of a tensor.</summary>
    /// <exception cref="BambaFormatException">There is no such tensor.</exception>
    public long[] Shape(string name) => [.. Find(name).Shape];

    /// <summary>A float32 tensor.</summary>
    /// <exception cref="BambaFormatException">There is no such tensor, or it has another type.</exception>
    public float[] Floats(string name) => Read<float>(name, ElementType.Float32);

    /// <summary>An int32 tensor.</summary>
    /// <exception cref="BambaFormatException">There is no such tensor, or it has another type.</exception>
    public int[] Ints(string name) => Read<int>(name, ElementType.Int32);

    /// <summary>An integer tensor, widened if it is int32.</summary>
    /// <exception cref="BambaFormatException">There is no such tensor, or it has another type.</exception>
    public long[] Longs(string name) =>
        Find(name).Type == ElementType.Int32
            ? Array.ConvertAll(Ints(name), value => (long)value)
            : Read<long>(name, ElementType.Int64);

    /// <summary>An integer tensor [rows, columns] as rows; a vector is one row.</summary>
    /// <exception cref="BambaFormatException">There is no such tensor, or it has another type.</exception>
    public long[][] Rows(string name)
    {
        long[] values = Longs(name);
        long[] shape = Shape(name);
        return shape.Length > 1 ? [.. values.Chunk((int)shape[^1])] : [values];
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private T[] Read<T>(string name, ElementType type)
        where T : unmanaged
    {
        SafetensorsTensor tensor = Find(name);
        if (tensor.Type != type)
        {
            throw new BambaFormatException(
                file.Path,
                $"tensor {name}: expected {type.ShortName()}, found {tensor.Type.ShortName()}"
            );
        }
        var values = new T[tensor.Bytes / type.SizeInBytes()];
        file.Read(tensor, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private SafetensorsTensor Find(string name) =>
        file.Tensors.TryGetValue(name, out SafetensorsTensor? tensor)
            ? tensor
            : throw new BambaFormatException(file.Path, $"expected a tensor {name}, found none");
}
