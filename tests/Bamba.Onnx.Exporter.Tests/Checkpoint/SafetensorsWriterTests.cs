using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Checkpoint;

public sealed class SafetensorsWriterTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private string FilePath => folder["x.safetensors"];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void What_is_written_in_any_order_is_read_back()
    {
        using (
            SafetensorsWriter writer = SafetensorsWriter.Create(
                FilePath,
                [("b", ElementType.BFloat16, [3]), ("a", ElementType.Int32, [2, 1])]
            )
        )
        {
            writer.Write(writer.Tensors[1], 4, [5, 6, 7, 8]);
            writer.Write(writer.Tensors[0], 0, [10, 11, 12, 13, 14, 15]);
        }

        using SafetensorsFile file = SafetensorsFile.Open(FilePath);
        Assert.Equal(["a", "b"], file.Tensors.Keys.Order());
        Assert.Equal(0, file.Tensors["b"].Offset % 8);
        byte[] a = new byte[8];
        byte[] b = new byte[6];
        file.Read(file.Tensors["a"], 0, a);
        file.Read(file.Tensors["b"], 0, b);
        Assert.Equal([0, 0, 0, 0, 5, 6, 7, 8], a);
        Assert.Equal([10, 11, 12, 13, 14, 15], b);
    }

    [Fact]
    public void Names_given_twice_and_writes_past_a_tensor_are_refused()
    {
        var twice = Assert.Throws<ArgumentException>(() =>
            SafetensorsWriter.Create(FilePath, [("a", ElementType.Float32, [1]), ("a", ElementType.Float32, [1])])
        );
        Assert.Contains("tensor a", twice.Message, StringComparison.Ordinal);

        using SafetensorsWriter writer = SafetensorsWriter.Create(FilePath, [("a", ElementType.Float32, [1])]);
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Write(writer.Tensors[0], 1, new byte[4]));
    }
}
