using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Lowering;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.SyntheticCheckpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Exporter.Tests.Weights;

[CollectionDefinition(nameof(MeasuresMemory), DisableParallelization = true)]
public sealed class MeasuresMemory;

[Collection(nameof(MeasuresMemory))]
public sealed class WeightStreamerMemoryTests
{
    private const long CheckpointBytes = 200_000_000;

    // Two buffers of 8 MiB for each of up to four threads, and what a run adds to the heap.
    private const long BoundBytes = 90_000_000;

    [Fact]
    public void Streaming_a_large_checkpoint_takes_a_small_fixed_amount_of_private_memory()
    {
        Assert.SkipUnless(PrivateMemory.IsSupported, "this system does not tell the private memory of a process");
        using var folder = new TemporaryFolder();
        SyntheticCheckpointWriter.Write(
            folder.Path,
            File.ReadAllBytes(TestData.Bamba9BConfig),
            new() { Bytes = CheckpointBytes, MaxShardBytes = CheckpointBytes / 4 }
        );
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder.Path);
        WeightPlan plan = Plan(checkpoint);

        using PrivateMemory memory = PrivateMemory.Watch();
        WeightResult result = WeightStreamer.Write(
            checkpoint,
            plan,
            folder["out.data"],
            cancellation: TestContext.Current.CancellationToken
        );

        Assert.InRange(result.Files.Sum(file => file.Bytes), (long)(1.8 * CheckpointBytes), long.MaxValue);
        // The watch sees the buffers at least: a peak near zero would mean that it looks at the wrong thing.
        Assert.InRange(memory.PeakOverIdleBytes, 8 << 20, BoundBytes);
    }

    /// <summary>What an export writes: matrices transposed, those of one input side by side, all as float32.</summary>
    private static WeightPlan Plan(CheckpointFolder checkpoint)
    {
        var plan = new WeightPlan();
        using var module = new BambaForCausalLM(
            checkpoint.Config,
            new BambaModuleOptions { Device = TorchSharp.DeviceType.META }
        );
        BambaLowering.Lower(module, GraphProfile.Runtime, new GraphOptions(), 64, ("test", "1"), plan);
        Assert.Contains(plan.Entries, entry => PlanCheck.TensorsOf(entry.Source).Length == 3);
        return plan;
    }
}
