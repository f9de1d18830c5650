using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli.Inspection;

/// <summary>What computes <see cref="Mamba2ChunkScanOp"/> in a session.</summary>
internal static class ScanImplementation
{
    /// <summary>The standard operators of the graph's own function, which ONNX Runtime runs where no kernel is registered.</summary>
    public const string FunctionBody = "function body";

    public const string Kernels = "bamba_ops";

    /// <summary>What a runtime of these options runs.</summary>
    /// <exception cref="BambaFormatException">The options name a library that is not there.</exception>
    public static string NameOf(CustomOps ops, ExecutionProvider provider) =>
        ops.Find(provider) is null ? FunctionBody : Kernels;

    /// <summary>The same on the processor, where the library is told by its path.</summary>
    /// <exception cref="BambaFormatException">The options name a library that is not there.</exception>
    public static string PathOf(CustomOps ops) => ops.Find(ExecutionProvider.Cpu) ?? FunctionBody;
}
