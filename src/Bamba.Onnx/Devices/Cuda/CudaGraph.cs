using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>Work that was recorded once, at the addresses that it had then, and is queued again as a whole.</summary>
internal sealed unsafe class CudaGraph : IDisposable
{
    private readonly CudaDevice device;
    private nint executable;

    private CudaGraph(CudaDevice device, nint executable, int nodes)
    {
        this.device = device;
        this.executable = executable;
        Nodes = nodes;
    }

    /// <summary>Kernels and copies of the graph.</summary>
    public int Nodes { get; }

    /// <summary>Records what <paramref name="work"/> queues, which does not run. The caller holds the device's queue.</summary>
    /// <exception cref="BambaException">CUDA cannot record it: it allocates, waits, or calls back into the processor.</exception>
    public static CudaGraph Capture(CudaDevice device, Action work)
    {
        device.Enter();
        CudaDevice.Check(CudaDriver.BeginCapture(device.Stream, CudaDriver.CaptureThreadLocal), "a recording");
        nint graph = 0;
        int ended;
        try
        {
            work();
        }
        finally
        {
            ended = CudaDriver.EndCapture(device.Stream, out graph);
        }
        try
        {
            CudaDevice.Check(ended, "a recording of the step");
            int nodes = RequireDeviceWork(graph);
            CudaDevice.Check(CudaDriver.GraphInstantiate(out nint executable, graph, 0), "a graph of the step");
            return new CudaGraph(device, executable, nodes);
        }
        finally
        {
            if (graph != 0)
            {
                _ = CudaDriver.GraphDestroy(graph);
            }
        }
    }

    /// <summary>Queues the work. The caller holds the device's queue.</summary>
    public void Launch()
    {
        device.Enter();
        CudaDevice.Check(CudaDriver.GraphLaunch(executable, device.Stream), "the replay of a step");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (executable != 0)
        {
            _ = CudaDriver.ContextSetCurrent(device.Context);
            _ = CudaDriver.GraphExecutableDestroy(executable);
            executable = 0;
        }
    }

    /// <summary>
    /// Counts a graph's nodes. One that calls back into the processor is refused: ONNX Runtime frees a buffer so, and would free
    /// it at every replay.
    /// </summary>
    private static int RequireDeviceWork(nint graph)
    {
        nuint count = 0;
        CudaDevice.Check(CudaDriver.GraphGetNodes(graph, null, ref count), "the nodes of a recording");
        var nodes = new nint[(int)count];
        fixed (nint* first = nodes)
        {
            CudaDevice.Check(CudaDriver.GraphGetNodes(graph, first, ref count), "the nodes of a recording");
        }
        foreach (nint node in nodes)
        {
            CudaDevice.Check(CudaDriver.GraphNodeGetType(node, out int type), "the kind of a node");
            if (type == CudaDriver.HostNode)
            {
                throw new BambaException(
                    "expected a step that stays on the device, found one that calls back into the processor"
                );
            }
        }
        return nodes.Length;
    }
}
