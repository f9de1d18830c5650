using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>Runs a session's bound calls. When one returns, what it computed is there.</summary>
internal class GraphRunner(InferenceSession graph) : IDisposable
{
    // Failures come as exceptions; ONNX Runtime need not write them to standard error too.
    private readonly RunOptions options = new() { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };

    /// <summary>How a step of one token a row runs; null where there is but one way.</summary>
    public virtual string? StepMode => null;

    /// <summary>What every run is told.</summary>
    protected RunOptions Options => options;

    /// <summary>Runs a call.</summary>
    /// <param name="binding">The rows.</param>
    /// <param name="length">Tokens a row.</param>
    /// <exception cref="OnnxRuntimeException">ONNX Runtime failed, or the run was stopped.</exception>
    public virtual void Run(RowBinding binding, int length) => graph.RunWithBinding(options, binding.For(length));

    /// <summary>Stops a run that another thread is in, soon, and every later one until <see cref="Continue"/>.</summary>
    public void Stop() => options.Terminate = true;

    /// <summary>Lets runs run again.</summary>
    public void Continue() => options.Terminate = false;

    /// <inheritdoc/>
    public virtual void Dispose() => options.Dispose();
}
