using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// A loaded graph that a runtime and its sessions hold together. It goes when the last of them does, so that they may be
/// disposed in any order.
/// </summary>
/// <param name="graph">ONNX Runtime's session.</param>
/// <param name="folder">What keeps the model's folder in its place, null where nothing need.</param>
internal sealed class SharedGraph(InferenceSession graph, IDisposable? folder = null)
{
    private readonly Lock change = new();
    private int holders = 1;

    /// <summary>ONNX Runtime's session; only for those who hold the graph.</summary>
    public InferenceSession Graph { get; } = graph;

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
    public void Release()
    {
        lock (change)
        {
            if (--holders > 0)
            {
                return;
            }
        }
        Graph.Dispose();
        folder?.Dispose();
    }
}
