using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Exporter.Lowering.Functions;

/// <summary>
/// The body of <c>bamba::SwiGLU</c> in standard operators, for hosts without the native op: silu of the first half of the last
/// axis times the second half, computed in float32 and rounded to x's type once.
/// </summary>
public static class SwiGluFunction
{
    /// <summary>The function's name.</summary>
    public const string Name = "SwiGLU";

    /// <summary>Builds the function, which is the same for all sizes.</summary>
    public static FunctionProto Build()
    {
        var function = new FunctionBuilder(Mamba2ChunkScanOp.Domain, Name, ["x"], ["y"]);
        NodeBuilder g = function.Nodes;
        Value x = new("x");
        Value[] halves = g.Halves(g.Cast(x, ElementType.Float32), -1);
        g.NodeInto("", "CastLike", [g.Mul(g.Silu(halves[0]), halves[1]), x], [new Value("y")]);
        return function.Build();
    }
}
