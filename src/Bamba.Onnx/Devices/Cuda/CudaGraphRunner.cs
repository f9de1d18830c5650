using System.Globalization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>
/// Runs a session's calls on an NVIDIA device. Its first step of one token a row runs as it is, which warms up whatever ONNX
/// Runtime allocates for that shape; the second is recorded and from then on replayed, at the addresses that a session's
/// buffers keep. Recording runs nothing, so that states which are updated in place advance once a step.
/// </summary>
internal sealed class CudaGraphRunner : GraphRunner
{
    private readonly CudaDevice device;
    private readonly RowBinding allRows;
    private CudaGraph? step;
    private bool warm;
    private string? refusal;

    /// <param name="graph">ONNX Runtime's session.</param>
    /// <param name="device">The device, whose stream is the session's.</param>
    /// <param name="allRows">The binding of every row, whose steps are replayed.</param>
    /// <param name="refusal">Why steps of this graph are not to be recorded; null where they are.</param>
    public CudaGraphRunner(InferenceSession graph, CudaDevice device, RowBinding allRows, string? refusal)
        : base(graph)
    {
        this.device = device;
        this.allRows = allRows;
        this.refusal = refusal;
        // ONNX Runtime need not wait for the stream: nobody looks before Synchronize.
        Options.AddRunConfigEntry("disable_synchronize_execution_providers", "1");
    }

    /// <inheritdoc/>
    public override string StepMode =>
        step is { } recorded ? string.Create(CultureInfo.InvariantCulture, $"CUDA graph of {recorded.Nodes} nodes")
        : refusal is { } reason ? $"kernel by kernel: {reason}"
        : "kernel by kernel so far";

    /// <inheritdoc/>
    public override void Run(RowBinding binding, int length)
    {
        lock (device.Queue)
        {
            device.Enter();
            if (binding != allRows || length != 1)
            {
                base.Run(binding, length);
            }
            else
            {
                QueueStep();
            }
        }
        device.Synchronize();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        step?.Dispose();
        base.Dispose();
    }

    private void QueueStep()
    {
        if (step is null && warm && refusal is null)
        {
            Record();
        }
        if (step is not null)
        {
            step.Launch();
            return;
        }
        base.Run(allRows, 1);
        warm = true;
    }

    /// <summary>Records the step. Where that cannot be done, steps go on kernel by kernel, which gives the same.</summary>
    private void Record()
    {
        try
        {
            step = CudaGraph.Capture(device, () => base.Run(allRows, 1));
        }
        catch (Exception e) when (e is BambaException or OnnxRuntimeException && !Options.Terminate)
        {
            refusal = e.Message;
        }
    }
}
