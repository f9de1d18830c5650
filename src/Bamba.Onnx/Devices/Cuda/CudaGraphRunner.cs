using System.Globalization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>
/// Runs a session's calls on an NVIDIA device. Its first step of one token a row runs as it is, which warms up whatever ONNX
/// Runtime allocates for that shape; the second is recorded and from then on replayed, at the addresses that a session's
/// buffers keep. Recording runs nothing, so that states which are updated in place advance once a step. A recording may still
/// need memory that no step needed before, since ONNX Runtime cuts its pieces differently each time; it is tried again after
/// another step, and given up after a few.
/// </summary>
internal sealed class CudaGraphRunner : GraphRunner
{
    private const int MostRecordings = 4;

    private readonly CudaDevice device;
    private readonly RowBinding allRows;
    private CudaGraph? step;
    private CudaGraph? recorded;
    private string? refusal;
    private int recordings;

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
        recorded is { } graph ? string.Create(CultureInfo.InvariantCulture, $"CUDA graph of {graph.Nodes} nodes")
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
                RunKernels(binding, length);
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

    /// <summary>Whether a step ran already, so that nothing of it allocates any more.</summary>
    public bool IsWarm { get; private set; }

    /// <summary>Queues a step of all rows kernel by kernel. The caller holds the device's queue.</summary>
    public void QueueStepKernels()
    {
        RunKernels(allRows, 1);
        IsWarm = true;
    }

    /// <summary>Records a step of all rows and what is to follow it. The caller holds the device's queue.</summary>
    /// <returns>Null where that cannot be done, or not yet: the step then runs kernel by kernel, which gives the same.</returns>
    public CudaGraph? TryRecordStep(Action? then = null)
    {
        if (refusal is not null)
        {
            return null;
        }
        try
        {
            return recorded = CudaGraph.Capture(
                device,
                () =>
                {
                    base.Run(allRows, 1);
                    then?.Invoke();
                }
            );
        }
        catch (Exception e) when (e is BambaException or OnnxRuntimeException && !Options.Terminate)
        {
            recordings++;
            refusal = recordings < MostRecordings ? null : e.Message.Trim();
            CudaRuntime.ForgetLastError();
            return null;
        }
    }

    private void QueueStep()
    {
        if (step is null && IsWarm)
        {
            step = TryRecordStep();
        }
        if (step is not null)
        {
            step.Launch();
            return;
        }
        QueueStepKernels();
    }

    /// <summary>Queues a call kernel by kernel.</summary>
    private void RunKernels(RowBinding binding, int length)
    {
        binding.BindInputsAgain();
        base.Run(binding, length);
    }
}
