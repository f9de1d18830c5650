using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// A loaded graph that a runtime and its sessions hold together. It goes when the last of them does, so that they may be
/// disposed in any order.
/// </summary>
internal sealed class SharedGraph(InferenceSession graph)
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
    }
}
