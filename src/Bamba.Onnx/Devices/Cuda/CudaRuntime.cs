using System.Runtime.InteropServices;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>
/// CUDA's runtime library, which ONNX Runtime uses. It remembers a thread's last error until somebody asks, and ONNX Runtime would
/// take that of a recording which failed for one of its next kernel.
/// </summary>
internal static unsafe class CudaRuntime
{
    private static readonly string[] Names = OperatingSystem.IsWindows()
        ? ["cudart64_13.dll", "cudart64_12.dll"]
        : ["libcudart.so.13", "libcudart.so.12"];

    private static readonly delegate* unmanaged<int> GetLastError = Find();

    /// <summary>Clears the calling thread's last error.</summary>
    public static void ForgetLastError()
    {
        if (GetLastError != null)
        {
            _ = GetLastError();
        }
    }

    private static delegate* unmanaged<int> Find()
    {
        foreach (string name in Names)
        {
            if (NativeLibrary.TryLoad(name, out nint library))
            {
                return (delegate* unmanaged<int>)NativeLibrary.GetExport(library, "cudaGetLastError");
            }
        }
        return null;
    }
}
