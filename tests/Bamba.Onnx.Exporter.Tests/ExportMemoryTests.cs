using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.SyntheticCheckpoint;
using Bamba.Onnx.Testing;
using TorchSharp;

namespace Bamba.Onnx.Exporter.Tests;

/// <summary>Private memory does not grow with the model. The full sizes are measured by the benchmarks project.</summary>
[Collection(nameof(ExportMemoryTests))]
[CollectionDefinition(nameof(ExportMemoryTests), DisableParallelization = true)]
public sealed class ExportMemoryTests
{
    [Fact]
    public void Modules_on_the_meta_device_take_no_memory()
    {
        Assert.SkipUnless(PrivateMemory.IsSupported, "private memory is read from /proc");
        var options = new BambaModuleOptions { Device = DeviceType.META };
        using (new BambaForCausalLM(BambaConfig.Load(Path.Combine(TestData.Case("base"), "config.json")), options)) { }
        using PrivateMemory memory = PrivateMemory.Watch();
        using var module = new BambaForCausalLM(BambaConfig.Load(TestData.Bamba9BConfig), options);
        Assert.InRange(memory.PeakOverIdleBytes, 0, 50_000_000);
    }

    [Fact]
    public void An_export_takes_far_less_memory_than_its_weights()
    {
        Assert.SkipUnless(PrivateMemory.IsSupported, "private memory is read from /proc");
        ExportedModels.Of(TestData.Case("base"));
        using var folder = new TemporaryFolder();
        string checkpoint = Path.Combine(folder.Path, "checkpoint");
        SyntheticCheckpointWriter.Write(
            checkpoint,
            File.ReadAllBytes(TestData.Bamba9BConfig),
            new SyntheticCheckpointOptions { Bytes = 400_000_000 }
        );
        using PrivateMemory memory = PrivateMemory.Watch();
        var options = new ExportOptions { ContextLength = 4096 };
        ModelManifest manifest = BambaExporter.Export(checkpoint, Path.Combine(folder.Path, "model"), options);
        Assert.InRange(manifest.Files.Sum(file => file.Bytes), 700_000_000, 900_000_000);
        Assert.InRange(memory.PeakOverIdleBytes, 0, 150_000_000);
    }
}
