namespace Bamba.Onnx.Sessions;

/// <summary>The execution provider of ONNX Runtime that a graph runs on.</summary>
internal enum ExecutionProvider
{
    /// <summary>The processor.</summary>
    Cpu,

    /// <summary>An NVIDIA device, float32 without TF32.</summary>
    Cuda,
}
