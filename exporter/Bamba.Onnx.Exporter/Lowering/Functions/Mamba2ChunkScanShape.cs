using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using static Bamba.Onnx.Graph.NodeArgument;

namespace Bamba.Onnx.Exporter.Lowering.Functions;

/// <summary>The sizes of a <c>bamba::Mamba2ChunkScan</c> node: its attributes, and what a body needs to have built in.</summary>
/// <param name="NumHeads">H.</param>
/// <param name="HeadDim">P.</param>
/// <param name="StateSize">N.</param>
/// <param name="NumGroups">G.</param>
/// <param name="ConvKernel">K.</param>
/// <param name="ChunkSize">Q, the chunk that a native kernel is told.</param>
/// <param name="BodyChunkSize">The chunk that the function body works in.</param>
/// <param name="Epsilon">Epsilon of the gated norm.</param>
/// <param name="DtMin">Lower clamp of dt.</param>
/// <param name="DtMax">Upper clamp of dt.</param>
/// <param name="NormGroupSize">Channels that the gated norm averages over.</param>
public sealed record Mamba2ChunkScanShape(
    int NumHeads,
    int HeadDim,
    int StateSize,
    int NumGroups,
    int ConvKernel,
    int ChunkSize,
    int BodyChunkSize,
    float Epsilon,
    float DtMin,
    float DtMax,
    int NormGroupSize
)
{
    // Measured on ONNX Runtime's CPU provider: shorter chunks cost more steps, longer ones more wasted products. On CUDA
    // each step costs launches, so 16-bit exports, which are meant for it, keep the model's own chunk.
    private const int CpuBodyChunk = 16;

    /// <summary>E = H · P.</summary>
    public int InnerSize => NumHeads * HeadDim;

    /// <summary>G · N, channels of B and of C.</summary>
    public int GroupStateSize => NumGroups * StateSize;

    /// <summary>Cd = E + 2·G·N.</summary>
    public int ConvDim => InnerSize + (2 * GroupStateSize);

    /// <summary>H / G · P, channels of a group.</summary>
    public int GroupChannels => InnerSize / NumGroups;

    /// <summary>Whether dt is clamped at all: softplus is never negative.</summary>
    public bool ClampsDt => DtMin > 0 || !float.IsPositiveInfinity(DtMax);

    /// <summary>The shape of every Mamba layer of a model.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="normGroupSize">Channels that the gated norm averages over.</param>
    /// <param name="dtype">T, which decides the body's chunk.</param>
    public static Mamba2ChunkScanShape Of(BambaConfig config, int normGroupSize, ElementType dtype) =>
        new(
            config.MambaNumHeads,
            config.MambaHeadDim,
            config.MambaStateSize,
            config.MambaNumGroups,
            config.MambaConvKernel,
            config.MambaChunkSize,
            dtype == ElementType.Float32 ? CpuBodyChunk : config.MambaChunkSize,
            (float)config.RmsNormEps,
            config.TimeStepMin,
            config.TimeStepMax,
            normGroupSize
        );

    /// <summary>The node's attributes.</summary>
    public NodeArgument[] Attributes() =>
        [
            Int(Mamba2ChunkScanOp.NumHeads, NumHeads),
            Int(Mamba2ChunkScanOp.HeadDim, HeadDim),
            Int(Mamba2ChunkScanOp.StateSize, StateSize),
            Int(Mamba2ChunkScanOp.NumGroups, NumGroups),
            Int(Mamba2ChunkScanOp.ChunkSize, ChunkSize),
            Float(Mamba2ChunkScanOp.Epsilon, Epsilon),
            Float(Mamba2ChunkScanOp.DtMin, DtMin),
            Float(Mamba2ChunkScanOp.DtMax, DtMax),
            Text(Mamba2ChunkScanOp.Activation, "silu"),
            Int(Mamba2ChunkScanOp.NormGroupSize, NormGroupSize),
        ];
}
