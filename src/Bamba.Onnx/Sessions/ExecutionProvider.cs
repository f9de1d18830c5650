namespace Bamba.Onnx.Sessions;

/// <summary>The execution provider of ONNX Runtime that a model runs on.</summary>
public enum ExecutionProvider
{
    /// <summary>CUDA where there is a device and ONNX Runtime's CUDA build, else the processor. <see cref="BambaRuntime.Provider"/> says which.</summary>
    Auto,

    /// <summary>The processor.</summary>
    Cpu,

    /// <summary>An NVIDIA device. float32 is computed without TF32.</summary>
    Cuda,
}
