using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Testing;

/// <summary>The tensors of a safetensors file as plain arrays, row-major.</summary>
public sealed class ReferenceData : IDisposable
{
    private readonly SafetensorsFile file;

    private ReferenceData(SafetensorsFile file)
    {
        this.file = file;
    }

    /// <summary>Opens any safetensors file.</summary>
    public static ReferenceData Open(string path) => new(SafetensorsFile.Open(path));

    /// <summary>Opens what Hugging Face computes for a reference case.</summary>
    public static ReferenceData OfCase(string name) => Open(Path.Combine(TestData.Case(name), "expected.safetensors"));

    /// <summary>Opens what Hugging Face computes for the small real checkpoint.</summary>
    public static ReferenceData OfTinyShakespeare() =>
        Open(Path.Combine(TestData.TinyShakespeare, "expected.safetensors"));

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Contains(string name) => file.Tensors.ContainsKey(name);

    /// <summary>The sizes of a tensor.</summary>
    public long[] Shape(string name) => [.. Tensor(name).Shape];

    /// <summary>A float32 tensor.</summary>
    public float[] Floats(string name) => Read<float>(name, ElementType.Float32);

    /// <summary>An integer tensor, widened if it is int32.</summary>
    public long[] Longs(string name) =>
        Tensor(name).Type == ElementType.Int32
            ? Array.ConvertAll(Ints(name), value => (long)value)
            : Read<long>(name, ElementType.Int64);

    /// <summary>An int32 tensor.</summary>
    public int[] Ints(string name) => Read<int>(name, ElementType.Int32);

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private T[] Read<T>(string name, ElementType type)
        where T : unmanaged
    {
        SafetensorsTensor tensor = Tensor(name);
        if (tensor.Type != type)
        {
            throw new InvalidOperationException($"{file.Path}: {name} is {tensor.Type}, not {type}");
        }
        var values = new T[tensor.Bytes / type.SizeInBytes()];
        file.Read(tensor, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private SafetensorsTensor Tensor(string name) =>
        file.Tensors.TryGetValue(name, out SafetensorsTensor? tensor)
            ? tensor
            : throw new KeyNotFoundException($"{file.Path} has no {name}");
}
