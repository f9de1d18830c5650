using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Exporter.Lowering.Functions;

/// <summary>
/// The body of <c>bamba::MatMulNBits</c> for hosts without the native op: ONNX Runtime's own operator of that name, inputs and
/// attributes, which may round activations to 8 bits by group too.
/// </summary>
public static class MatMulNBitsFunction
{
    /// <summary>The function's name.</summary>
    public const string Name = "MatMulNBits";

    // What ONNX Runtime calls accuracy level 4.
    private const int Int8Activations = 4;

    /// <summary>Builds the function, which is the same for all sizes.</summary>
    public static FunctionProto Build()
    {
        string[] inputs = ["x", "codes", "scales", "zero_points"];
        FunctionBuilder function = new FunctionBuilder(Mamba2ChunkScanOp.Domain, Name, inputs, ["y"])
            .Import(LoweringContext.ContribDomain, 1)
            .Attributes("K", "N", "bits", "block_size");
        function.Nodes.NodeInto(
            LoweringContext.ContribDomain,
            Name,
            [.. inputs.Select(input => new Value(input))],
            [new Value("y")],
            NodeArgument.OfCaller("K"),
            NodeArgument.OfCaller("N"),
            NodeArgument.OfCaller("bits"),
            NodeArgument.OfCaller("block_size"),
            NodeArgument.Int("accuracy_level", Int8Activations)
        );
        return function.Build();
    }
}
