using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>
/// The residual stream between layers. What a mixer or an MLP appends is not added at once: the norm that reads the stream next
/// adds it in the same node.
/// </summary>
/// <param name="sum">What the stream begins with, [batch, length, hidden_size] of T.</param>
internal sealed class ResidualStream(Value sum)
{
    /// <summary>The stream as of its last norm.</summary>
    public Value Sum { get; private set; } = sum;

    /// <summary>What was appended since; null for nothing.</summary>
    public Value? Appended { get; private set; }

    /// <summary>Appends a block's output, of the same shape.</summary>
    public void Append(Value output) => Appended = output;

    /// <summary>Says that a norm added what was appended.</summary>
    public void Added(Value newSum)
    {
        Sum = newSum;
        Appended = null;
    }
}
