using System.Reflection;
using System.Runtime.InteropServices;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>
/// The functions of CUDA's driver that the runtime needs. The driver's library has the same name whatever the CUDA version, and
/// is there wherever ONNX Runtime's CUDA provider can run.
/// </summary>
internal static unsafe partial class CudaDriver
{
    private const string Library = "cuda";

    static CudaDriver() =>
        NativeLibrary.SetDllImportResolver(
            typeof(CudaDriver).Assembly,
            static (name, assembly, path) => name == Library ? Load(assembly, path) : 0
        );

    /// <summary>A result of zero; all others are errors.</summary>
    public const int Success = 0;

    /// <summary>What a call gives where an event or a stream is not done.</summary>
    public const int NotReady = 600;

    /// <summary>A graph's node that runs code of the processor.</summary>
    public const int HostNode = 3;

    /// <summary>Flag of a stream that does not wait for the default one, and of an event without a time.</summary>
    public const uint NonBlocking = 1;

    /// <summary>Flag of an event without a time.</summary>
    public const uint DisableTiming = 2;

    /// <summary>Flag of host memory that every context may use.</summary>
    public const uint Portable = 1;

    /// <summary>Capture that forbids unsafe calls of the capturing thread only.</summary>
    public const int CaptureThreadLocal = 1;

    [LibraryImport(Library, EntryPoint = "cuInit")]
    public static partial int Init(uint flags);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetCount")]
    public static partial int DeviceGetCount(out int count);

    [LibraryImport(Library, EntryPoint = "cuDeviceGet")]
    public static partial int DeviceGet(out int device, int ordinal);

    [LibraryImport(Library, EntryPoint = "cuDeviceGetName")]
    public static partial int DeviceGetName(byte* name, int length, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRetain")]
    public static partial int PrimaryContextRetain(out nint context, int device);

    [LibraryImport(Library, EntryPoint = "cuDevicePrimaryCtxRelease_v2")]
    public static partial int PrimaryContextRelease(int device);

    [LibraryImport(Library, EntryPoint = "cuCtxSetCurrent")]
    public static partial int ContextSetCurrent(nint context);

    [LibraryImport(Library, EntryPoint = "cuMemGetInfo_v2")]
    public static partial int MemoryGetInfo(out nuint free, out nuint total);

    [LibraryImport(Library, EntryPoint = "cuMemAlloc_v2")]
    public static partial int MemoryAllocate(out nint address, nuint bytes);

    [LibraryImport(Library, EntryPoint = "cuMemFree_v2")]
    public static partial int MemoryFree(nint address);

    [LibraryImport(Library, EntryPoint = "cuMemHostAlloc")]
    public static partial int HostAllocate(out nint address, nuint bytes, uint flags);

    [LibraryImport(Library, EntryPoint = "cuMemFreeHost")]
    public static partial int HostFree(nint address);

    [LibraryImport(Library, EntryPoint = "cuMemsetD8Async")]
    public static partial int MemorySet(nint address, byte value, nuint bytes, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpyAsync")]
    public static partial int Copy(nint target, nint source, nuint bytes, nint stream);

    [LibraryImport(Library, EntryPoint = "cuMemcpy2DAsync_v2")]
    public static partial int CopyPieces(in PieceCopy copy, nint stream);

    [LibraryImport(Library, EntryPoint = "cuStreamCreate")]
    public static partial int StreamCreate(out nint stream, uint flags);

    [LibraryImport(Library, EntryPoint = "cuStreamDestroy_v2")]
    public static partial int StreamDestroy(nint stream);

    [LibraryImport(Library, EntryPoint = "cuStreamSynchronize")]
    public static partial int StreamSynchronize(nint stream);

    [LibraryImport(Library, EntryPoint = "cuEventCreate")]
    public static partial int EventCreate(out nint created, uint flags);

    [LibraryImport(Library, EntryPoint = "cuEventRecord")]
    public static partial int EventRecord(nint recorded, nint stream);

    [LibraryImport(Library, EntryPoint = "cuEventSynchronize")]
    public static partial int EventSynchronize(nint awaited);

    [LibraryImport(Library, EntryPoint = "cuEventDestroy_v2")]
    public static partial int EventDestroy(nint destroyed);

    [LibraryImport(Library, EntryPoint = "cuStreamBeginCapture_v2")]
    public static partial int BeginCapture(nint stream, int mode);

    [LibraryImport(Library, EntryPoint = "cuStreamEndCapture")]
    public static partial int EndCapture(nint stream, out nint graph);

    [LibraryImport(Library, EntryPoint = "cuGraphGetNodes")]
    public static partial int GraphGetNodes(nint graph, nint* nodes, ref nuint count);

    [LibraryImport(Library, EntryPoint = "cuGraphNodeGetType")]
    public static partial int GraphNodeGetType(nint node, out int type);

    [LibraryImport(Library, EntryPoint = "cuGraphInstantiateWithFlags")]
    public static partial int GraphInstantiate(out nint executable, nint graph, ulong flags);

    [LibraryImport(Library, EntryPoint = "cuGraphLaunch")]
    public static partial int GraphLaunch(nint executable, nint stream);

    [LibraryImport(Library, EntryPoint = "cuGraphExecDestroy")]
    public static partial int GraphExecutableDestroy(nint executable);

    [LibraryImport(Library, EntryPoint = "cuGraphDestroy")]
    public static partial int GraphDestroy(nint graph);

    [LibraryImport(Library, EntryPoint = "cuGetErrorString")]
    public static partial int GetErrorString(int error, out nint text);

    private static nint Load(Assembly assembly, DllImportSearchPath? path)
    {
        string file = OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1";
        return NativeLibrary.TryLoad(file, assembly, path, out nint library) ? library : 0;
    }

    /// <summary>CUDA_MEMCPY2D: rows of bytes from one pitched memory to another, with addresses that say themselves where they are.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct PieceCopy
    {
        private const int Unified = 4;

        private readonly nuint sourceX;
        private readonly nuint sourceY;
        private readonly int sourceType;
        private readonly nint sourceHost;
        private readonly nint source;
        private readonly nint sourceArray;
        private readonly nuint sourcePitch;
        private readonly nuint targetX;
        private readonly nuint targetY;
        private readonly int targetType;
        private readonly nint targetHost;
        private readonly nint target;
        private readonly nint targetArray;
        private readonly nuint targetPitch;
        private readonly nuint widthInBytes;
        private readonly nuint height;

        public PieceCopy(nint source, long sourceStride, nint target, long targetStride, long pieceBytes, int pieces)
        {
            sourceType = Unified;
            this.source = source;
            sourcePitch = (nuint)sourceStride;
            targetType = Unified;
            this.target = target;
            targetPitch = (nuint)targetStride;
            widthInBytes = (nuint)pieceBytes;
            height = (nuint)pieces;
        }
    }
}
