using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.SyntheticCheckpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Checkpoint;

public sealed class SyntheticCheckpointTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(ElementType.BFloat16, 12_000_000)]
    [InlineData(ElementType.Float32, 20_000_000)]
    [InlineData(ElementType.Float16, 33_000_000)]
    public void A_checkpoint_of_the_wanted_size_opens_and_fits_its_config(ElementType dtype, long bytes)
    {
        SyntheticCheckpointSummary summary = Write(
            TestData.Bamba9BConfig,
            new()
            {
                Bytes = bytes,
                Dtype = dtype,
                MaxShardBytes = bytes / 3,
            }
        );

        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder.Path);
        checkpoint.RequireTensors(BambaTensors.Of(checkpoint.Config));
        Assert.InRange(summary.TensorBytes, bytes * 0.9, bytes * 1.1);
        Assert.Equal(summary.TensorBytes, checkpoint.Tensors.Values.Sum(tensor => tensor.Bytes));
        Assert.InRange(summary.Files, 3, 5);
        Assert.Equal(dtype, checkpoint.Config.Dtype);
        Assert.All(checkpoint.Tensors.Values, tensor => Assert.Equal(dtype, tensor.Type));
    }

    [Fact]
    public void Without_a_size_the_model_is_the_one_of_the_config()
    {
        string config = Path.Combine(TestData.Case("two-groups"), ModelFiles.Config);

        Write(config, new() { Dtype = BambaConfig.Load(config).Dtype ?? ElementType.Float32 });

        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder.Path);
        Assert.Equal(BambaConfig.Load(config), checkpoint.Config with { Dtype = BambaConfig.Load(config).Dtype });
    }

    [Fact]
    public void Values_have_the_scales_of_a_fresh_model()
    {
        Write(TestData.Bamba9BConfig, new() { Bytes = 20_000_000, Dtype = ElementType.Float32 });
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder.Path);
        const string Mixer = "model.layers.0.mamba.";

        float[] matrix = Values(checkpoint, $"{Mixer}in_proj.weight");
        Assert.InRange(matrix.Average(value => (double)value), -0.001, 0.001);
        Assert.InRange(Math.Sqrt(matrix.Average(value => (double)value * value)), 0.019, 0.021);
        Assert.NotEqual(matrix[..100], Values(checkpoint, "model.layers.1.mamba.in_proj.weight")[..100]);

        float[] decay = Values(checkpoint, $"{Mixer}A_log");
        Assert.Equal(decay.Select((_, head) => MathF.Log(head + 1)), decay, (a, b) => MathF.Abs(a - b) < 1e-6f);
        Assert.All(
            Values(checkpoint, $"{Mixer}dt_bias"),
            bias => Assert.InRange(MathF.Log(1 + MathF.Exp(bias)), 0.00099f, 0.101f)
        );
        Assert.All(Values(checkpoint, $"{Mixer}norm.weight"), value => Assert.Equal(1, value));
        Assert.All(Values(checkpoint, $"{Mixer}conv1d.bias"), value => Assert.Equal(0, value));
        int width = checkpoint.Config.HiddenSize;
        float[] padding = Values(checkpoint, BambaTensors.Embedding)[..width];
        Assert.Equal(0, checkpoint.Config.PadTokenId);
        Assert.All(padding, value => Assert.Equal(0, value));
    }

    [Fact]
    public void The_seed_decides_the_values()
    {
        string[] hashes =
        [
            .. ((ulong[])[7, 7, 8]).Select(seed =>
            {
                Write(TestData.Bamba9BConfig, new() { Bytes = 12_000_000, Seed = seed });
                return Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(folder[ModelFiles.Checkpoint])));
            }),
        ];

        Assert.Equal(hashes[0], hashes[1]);
        Assert.NotEqual(hashes[0], hashes[2]);
    }

    [Fact]
    public void A_size_that_no_model_of_the_kind_has_is_refused() =>
        Assert.Throws<ArgumentException>(() => Write(TestData.Bamba9BConfig, new() { Bytes = 100 }));

    private SyntheticCheckpointSummary Write(string config, SyntheticCheckpointOptions options) =>
        SyntheticCheckpointWriter.Write(folder.Path, File.ReadAllBytes(config), options);

    private static float[] Values(CheckpointFolder checkpoint, string name)
    {
        var values = new float[checkpoint.Tensors[name].Bytes / sizeof(float)];
        checkpoint.Read(name, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }
}
