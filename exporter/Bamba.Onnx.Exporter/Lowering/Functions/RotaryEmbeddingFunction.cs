using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Exporter.Lowering.Functions;

/// <summary>
/// <c>bamba::RotaryEmbedding(x, positions, cos, sin)</c>: rotates the first R elements of every head, in pairs (i, i + R/2),
/// for widths that <c>GroupQueryAttention</c> does not rotate itself. x is [batch, length, heads · head_dim], positions
/// [batch, length] int64, cos and sin [context length, R/2].
/// </summary>
public static class RotaryEmbeddingFunction
{
    /// <summary>The function's name.</summary>
    public const string Name = "RotaryEmbedding";

    /// <summary>Builds the function for one head size and rotary width.</summary>
    public static FunctionProto Build(int headDim, int rotaryDim)
    {
        var function = new FunctionBuilder(Mamba2ChunkScanOp.Domain, Name, ["x", "positions", "cos", "sin"], ["y"]);
        NodeBuilder g = function.Nodes;
        Value x = new("x");
        int half = rotaryDim / 2;
        Value cos = g.Unsqueeze(g.Gather(new Value("cos"), new Value("positions")), 2);
        Value sin = g.Unsqueeze(g.Gather(new Value("sin"), new Value("positions")), 2);
        Value[] parts = g.Split(g.Reshape(x, 0, 0, -1, headDim), 3, half, half, headDim - rotaryDim);
        Value first = g.Sub(g.Mul(parts[0], cos), g.Mul(parts[1], sin));
        Value second = g.Add(g.Mul(parts[1], cos), g.Mul(parts[0], sin));
        Value rotated = g.Concat(3, first, second, parts[2]);
        g.NodeInto("", "Reshape", [rotated, g.Shape(x, 0, 3)], [new Value("y")]);
        return function.Build();
    }
}
