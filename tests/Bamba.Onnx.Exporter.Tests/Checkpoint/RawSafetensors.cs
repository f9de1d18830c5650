using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Tests.Checkpoint;

/// <summary>Safetensors files for tests: of any bytes, also those that no writer would write.</summary>
internal static class RawSafetensors
{
    /// <summary>A file of a header and a number of data bytes; the length in front is true unless given.</summary>
    public static byte[] Of(byte[] header, int dataBytes, ulong? headerBytes = null)
    {
        byte[] file = new byte[sizeof(ulong) + header.Length + dataBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(file, headerBytes ?? (ulong)header.Length);
        header.CopyTo(file, sizeof(ulong));
        return file;
    }

    public static byte[] Of(string header, int dataBytes) => Of(Encoding.UTF8.GetBytes(header), dataBytes);

    /// <summary>Writes a good file whose element bytes count up from 1 in each tensor.</summary>
    public static void Write(string path, params (string Name, ElementType Type, long[] Shape)[] tensors)
    {
        using SafetensorsWriter writer = SafetensorsWriter.Create(
            path,
            tensors.Select(tensor => (tensor.Name, tensor.Type, tensor.Shape.ToImmutableArray()))
        );
        foreach (SafetensorsTensor tensor in writer.Tensors)
        {
            writer.Write(tensor, 0, Counting((int)tensor.Bytes));
        }
    }

    /// <summary>1, 2, … 200, 1, ….</summary>
    public static byte[] Counting(int count) => [.. Enumerable.Range(0, count).Select(i => (byte)(1 + (i % 200)))];
}
