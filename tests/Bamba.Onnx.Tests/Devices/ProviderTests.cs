using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Tests.Devices;

public sealed class ProviderTests
{
    private static readonly string Model = ExportedModels.Of(TestData.TinyShakespeare);

    [Fact]
    public void Cuda_with_the_CPU_build_is_an_error_that_names_the_package()
    {
        Assert.SkipWhen(HasCuda, "ONNX Runtime is the CUDA build");
        var options = new BambaRuntimeOptions { Provider = ExecutionProvider.Cuda };
        var error = Assert.Throws<BambaException>(() => BambaRuntime.Load(Model, options));
        Assert.Contains("Microsoft.ML.OnnxRuntime.Gpu", error.Message);
    }

    [Fact]
    public void Auto_takes_the_processor_where_there_is_nothing_else()
    {
        Assert.SkipWhen(HasCuda, "ONNX Runtime is the CUDA build");
        using BambaRuntime runtime = BambaRuntime.Load(Model);
        Assert.Equal(ExecutionProvider.Cpu, runtime.Provider);
        Assert.Null(runtime.DeviceName);
        Assert.Null(runtime.FallbackReason);
    }

    [Fact]
    public void A_plan_counts_weights_states_and_keys_before_anything_is_loaded()
    {
        MemoryPlan plan = BambaRuntime.PlanMemory(Model, batchSize: 3, contextLength: 100);
        using BambaRuntime runtime = BambaRuntime.Load(Model);
        Assert.Equal(new FileInfo(Path.Combine(Model, ModelFiles.Weights)).Length, plan.Weights);
        Assert.Equal(runtime.StateBytes(3, 100), plan.RecurrentStates + plan.KeysAndValues);
        Assert.Equal(
            plan.RecurrentStates,
            BambaRuntime.PlanMemory(Model, batchSize: 3, contextLength: 7).RecurrentStates
        );
        Assert.True(plan.Workspace > 0);
        Assert.Equal(plan.Weights + plan.RecurrentStates + plan.KeysAndValues + plan.Workspace, plan.Total);
    }

    [Fact]
    public void Settings_of_a_device_are_checked_where_they_are_set()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new BambaRuntimeOptions { DeviceId = -1 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new BambaRuntimeOptions { DeviceMemoryLimit = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new BambaRuntimeOptions { PrefillChunk = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new BambaRuntimeOptions { Provider = (ExecutionProvider)7 });
    }

    private static bool HasCuda => OrtEnv.Instance().GetAvailableProviders().Contains("CUDAExecutionProvider");
}
