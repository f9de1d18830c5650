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

    private const int ScalesIndex = 2;

    // What ONNX Runtime calls accuracy level 4.
    private const int Int8Activations = 4;

    /// <summary>Builds the function, which is the same for all sizes.</summary>
    /// <param name="casts">
    /// What else than x may have another type than x, as ONNX Runtime's operator has it not. Hosts fold the conversion of what is
    /// stored when they load the model.
    /// </param>
    public static FunctionProto Build(MatMulNBitsCasts casts = MatMulNBitsCasts.None)
    {
        string[] inputs = ["x", "codes", "scales", "zero_points"];
        FunctionBuilder function = new FunctionBuilder(Mamba2ChunkScanOp.Domain, Name, inputs, ["y"])
            .Import(LoweringContext.ContribDomain, 1)
            .Attributes("K", "N", "bits", "block_size");
        Value[] operands = [.. inputs.Select(input => new Value(input))];
        for (int i = ScalesIndex; i < ScalesIndex + (int)casts; i++)
        {
            operands[i] = function.Nodes.CastLike(operands[i], operands[0]);
        }
        function.Nodes.NodeInto(
            LoweringContext.ContribDomain,
            Name,
            operands,
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

/// <summary>Inputs of <c>bamba::MatMulNBits</c> that its function converts to x's type.</summary>
public enum MatMulNBitsCasts
{
    /// <summary>None: all have it.</summary>
    None,

    /// <summary>Scales; zero points are codes, or there are none.</summary>
    Scales,

    /// <summary>Scales, and zero points that are numbers.</summary>
    ScalesAndZeroPoints,
}
