using Bamba.Onnx.Contract;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.Sessions;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Devices;

/// <summary>What a model runs on, chosen before anything of it is loaded.</summary>
/// <param name="Provider">The provider, never <see cref="ExecutionProvider.Auto"/>.</param>
/// <param name="Device">The device; null on the processor. Whoever takes the choice disposes it.</param>
/// <param name="FallbackReason">Why Auto took the processor though ONNX Runtime has the CUDA provider; null where it did not.</param>
internal sealed record ProviderChoice(ExecutionProvider Provider, CudaDevice? Device, string? FallbackReason)
{
    private const string CudaProvider = "CUDAExecutionProvider";

    private static ProviderChoice Processor { get; } = new(ExecutionProvider.Cpu, null, null);

    /// <summary>Chooses.</summary>
    /// <exception cref="BambaException">The caller asked for CUDA, and what is missing for it; or the device has too little memory.</exception>
    public static ProviderChoice Of(BambaRuntimeOptions options, ModelFolder folder)
    {
        bool hasCuda = OrtEnv.Instance().GetAvailableProviders().Contains(CudaProvider);
        // An application with the CPU build wants the processor: for Auto there is nothing to fall back from.
        if (options.Provider == ExecutionProvider.Cpu || (options.Provider == ExecutionProvider.Auto && !hasCuda))
        {
            return Processor;
        }
        if (!hasCuda)
        {
            throw new BambaException(
                "expected ONNX Runtime with the CUDA provider, found the CPU build: reference the package Microsoft.ML.OnnxRuntime.Gpu in place of Microsoft.ML.OnnxRuntime"
            );
        }
        try
        {
            return new ProviderChoice(ExecutionProvider.Cuda, OpenDevice(options, folder), null);
        }
        catch (BambaException e) when (options.Provider == ExecutionProvider.Auto)
        {
            return Processor with { FallbackReason = e.Message };
        }
    }

    private static CudaDevice OpenDevice(BambaRuntimeOptions options, ModelFolder folder)
    {
        CudaDevice device = CudaDevice.Open(options.DeviceId);
        try
        {
            MemoryPlan.For(folder, options, 1, 1).RequireRoom(device, options.DeviceMemoryLimit);
            return device;
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
