using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Cli.Verification;

/// <summary>The expected values of a case folder: <c>expected.safetensors</c>, float32 and integers.</summary>
internal sealed class ReferenceTensors : IDisposable
{
    private const string FileName = "expected.safetensors";

    private readonly SafetensorsFile file;

    private ReferenceTensors(SafetensorsFile file) => this.file = file;

    /// <summary>The names of all tensors.</summary>
    public IEnumerable<string> Names => file.Tensors.Keys;

    /// <exception cref="BambaFormatException">The folder has no such file, or it is damaged.</exception>
    public static ReferenceTensors Open(string folder) => new(SafetensorsFile.Open(Path.Combine(folder, FileName)));

    public bool Has(string name) => file.Tensors.ContainsKey(name);

    public long[] Shape(string name) => [.. Find(name).Shape];

    public float[] Floats(string name)
    {
        SafetensorsTensor tensor = Find(name);
        if (tensor.Type != ElementType.Float32)
        {
            throw new BambaFormatException(file.Path, $"tensor {name}: expected F32, found {tensor.Type}");
        }
        var values = new float[tensor.Bytes / sizeof(float)];
        file.Read(tensor, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    public long[] Integers(string name)
    {
        SafetensorsTensor tensor = Find(name);
        switch (tensor.Type)
        {
            case ElementType.Int64:
                var longs = new long[tensor.Bytes / sizeof(long)];
                file.Read(tensor, 0, MemoryMarshal.AsBytes(longs.AsSpan()));
                return longs;
            case ElementType.Int32:
                var ints = new int[tensor.Bytes / sizeof(int)];
                file.Read(tensor, 0, MemoryMarshal.AsBytes(ints.AsSpan()));
                return Array.ConvertAll(ints, value => (long)value);
            default:
                throw new BambaFormatException(file.Path, $"tensor {name}: expected I64 or I32, found {tensor.Type}");
        }
    }

    /// <summary>An integer tensor [rows, columns] as rows.</summary>
    public long[][] Rows(string name)
    {
        long[] values = Integers(name);
        long[] shape = Shape(name);
        int columns = (int)(shape.Length > 1 ? shape[^1] : values.Length);
        return [.. values.Chunk(Math.Max(columns, 1))];
    }

    public void Dispose() => file.Dispose();

    private SafetensorsTensor Find(string name) =>
        file.Tensors.TryGetValue(name, out SafetensorsTensor? tensor)
            ? tensor
            : throw new BambaFormatException(file.Path, $"expected a tensor {name}, found none");
}
