using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Weights;

/// <summary>A checkpoint of odd sizes with random values, and what should come out of it.</summary>
internal sealed class StreamFixture : IDisposable
{
    /// <summary>Tiles so small that every tensor takes several, and one row of the widest does not fit one.</summary>
    public static readonly StreamLimits SmallTiles = new(Threads: 2, TileBytes: 256);

    private readonly TemporaryFolder folder = new();

    public StreamFixture(ElementType type = ElementType.BFloat16)
    {
        File.Copy(Path.Combine(TestData.Case("base"), ModelFiles.Config), folder[ModelFiles.Config]);
        var random = new Random(1);
        using (
            SafetensorsWriter writer = SafetensorsWriter.Create(
                folder[ModelFiles.Checkpoint],
                Shapes.Select(tensor => ("model." + tensor.Key, type, tensor.Value))
            )
        )
        {
            foreach (SafetensorsTensor tensor in writer.Tensors)
            {
                float[] values = new float[tensor.Bytes / type.SizeInBytes()];
                foreach (ref float value in values.AsSpan())
                {
                    value = (random.NextSingle() - 0.5f) * 100;
                }
                writer.Write(tensor, 0, Convert(MemoryMarshal.AsBytes(values.AsSpan()), ElementType.Float32, type));
            }
        }
        Checkpoint = CheckpointFolder.Open(folder.Path);
    }

    public static Dictionary<string, ImmutableArray<long>> Shapes { get; } =
        new()
        {
            ["matrix"] = [37, 53],
            ["wide"] = [3, 301],
            ["tall"] = [301, 3],
            ["stacked"] = [11, 53],
            ["vector"] = [129],
            ["conv"] = [21, 1, 4],
            ["empty"] = [0, 53],
            ["column"] = [7, 1],
        };

    public CheckpointFolder Checkpoint { get; }

    public string Folder => folder.Path;

    public string OutputPath => folder["out.data"];

    public void Dispose()
    {
        Checkpoint.Dispose();
        folder.Dispose();
    }

    /// <summary>Writes a plan to <see cref="OutputPath"/>, unless the test is cancelled.</summary>
    public WeightResult Write(WeightPlan plan, bool smallTiles = true, IProgress<WeightProgress>? progress = null) =>
        WeightStreamer.Write(
            Checkpoint,
            plan,
            OutputPath,
            smallTiles ? SmallTiles : StreamLimits.Default,
            record: null,
            progress,
            TestContext.Current.CancellationToken
        );

    /// <summary>A tensor's bytes, converted to a type.</summary>
    public byte[] Values(string name, ElementType type)
    {
        CheckpointTensor tensor = Checkpoint.Tensors[name];
        byte[] bytes = new byte[tensor.Bytes];
        Checkpoint.Read(name, 0, bytes);
        return Convert(bytes, tensor.Type, type);
    }

    /// <summary>The transpose, element by element.</summary>
    public static byte[] Transposed(byte[] matrix, long columns, int elementBytes)
    {
        byte[] result = new byte[matrix.Length];
        long rows = matrix.Length / columns / elementBytes;
        for (long i = 0; i < rows * columns; i++)
        {
            (long row, long column) = Math.DivRem(i, columns);
            Array.Copy(matrix, i * elementBytes, result, ((column * rows) + row) * elementBytes, elementBytes);
        }
        return result;
    }

    /// <summary>An entry's bytes in the written file.</summary>
    public byte[] Written(WeightEntry entry) =>
        File.ReadAllBytes(OutputPath).AsSpan((int)entry.Offset, (int)entry.Bytes).ToArray();

    public static byte[] Convert(ReadOnlySpan<byte> bytes, ElementType from, ElementType to)
    {
        byte[] result = new byte[bytes.Length / from.SizeInBytes() * to.SizeInBytes()];
        Assert.True(ElementConversion.TryConvert(bytes, from, result, to, out _));
        return result;
    }
}
