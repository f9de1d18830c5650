using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Exporter.Lowering.Functions;

/// <summary>
/// <c>bamba::RMSNorm(x, weight)</c>: x / sqrt(mean(x²) + epsilon) · weight over the last axis. The opset has no such operator
/// before 23. The mean is taken in float32 and the quotient rounded to x's type before the weight multiplies it, as Hugging
/// Face's <c>BambaRMSNorm</c> does.
/// </summary>
public static class RmsNormFunction
{
    /// <summary>The function's name.</summary>
    public const string Name = "RMSNorm";

    /// <summary>The attribute that says which epsilon the body has.</summary>
    public const string Epsilon = "epsilon";

    /// <summary>Builds the function for one epsilon.</summary>
    public static FunctionProto Build(float epsilon)
    {
        FunctionBuilder function = new FunctionBuilder(
            Mamba2ChunkScanOp.Domain,
            Name,
            ["x", "weight"],
            ["y"]
        ).Attributes(Epsilon);
        NodeBuilder g = function.Nodes;
        Value x = new("x");
        Value normalized = g.RmsNormalize(g.Cast(x, ElementType.Float32), epsilon);
        g.NodeInto("", "Mul", [g.CastLike(normalized, x), new Value("weight")], [new Value("y")]);
        return function.Build();
    }
}
