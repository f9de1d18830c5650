using Bamba.Onnx.Devices;
using Bamba.Onnx.Devices.Cuda;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// A loaded graph that a runtime and its sessions hold together. It goes when the last of them does, so that they may be
/// disposed in any order.
/// </summary>
/// <param name="graph">ONNX Runtime's session.</param>
/// <param name="device">The device that it runs on, on that device's stream; null for the processor. It goes with the graph.</param>
/// <param name="sampling">The device's kernels that choose tokens; null where there are none.</param>
/// <param name="stepRefusal">Why steps are not to be recorded on the device; null where they are.</param>
/// <param name="folder">What keeps the model's folder in its place, null where nothing need.</param>
/// <param name="traceFile">Where the profile goes that ONNX Runtime takes of the graph's runs; null where it takes none.</param>
internal sealed class SharedGraph(
    InferenceSession graph,
    CudaDevice? device = null,
    SamplingLibrary? sampling = null,
    string? stepRefusal = null,
    IDisposable? folder = null,
    string? traceFile = null
)
{
    private readonly Lock change = new();
    private int holders = 1;

    /// <summary>ONNX Runtime's session; only for those who hold the graph.</summary>
    public InferenceSession Graph { get; } = graph;

    /// <summary>The device that the graph runs on; null for the processor.</summary>
    public CudaDevice? Device => device;

    /// <summary>Where sessions keep what the graph reads and writes.</summary>
    public MemorySpace Memory => device ?? MemorySpace.Host;

    /// <summary>What runs a session's calls.</summary>
    /// <param name="allRows">The binding of all its rows.</param>
    public GraphRunner CreateRunner(RowBinding allRows) =>
        device is null ? new GraphRunner(Graph) : new CudaGraphRunner(Graph, device, allRows, stepRefusal);

    /// <summary>What chooses tokens for a session's rows where their scores are; null where that is the processor's work.</summary>
    public DeviceSampler? CreateSampler(GraphRunner runner, CallBuffers buffers, int rows, int vocabSize) =>
        device is not null && sampling is not null && runner is CudaGraphRunner steps
            ? new DeviceSampler(device, sampling, buffers, steps, rows, vocabSize)
            : null;

    /// <summary>Makes the caller one more holder.</summary>
    /// <returns>False when the last holder has gone.</returns>
    public bool TryHold()
    {
        lock (change)
        {
            if (holders == 0)
            {
                return false;
            }
            holders++;
            return true;
        }
    }

    /// <summary>Ends one holder's hold.</summary>
    /// <exception cref="IOException">It was the last, and the profile cannot be put where it should be.</exception>
    public void Release()
    {
        lock (change)
        {
            if (--holders > 0)
            {
                return;
            }
        }
        try
        {
            if (traceFile is not null)
            {
                File.Move(Graph.EndProfiling(), traceFile, overwrite: true);
            }
        }
        finally
        {
            Graph.Dispose();
            device?.Dispose();
            folder?.Dispose();
        }
    }
}
