using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>Checks of what callers pass; each message names the tensor, what was expected and what was found.</summary>
internal static class InputChecks
{
    public static void RequireInteger(Tensor tensor, string name, int rank)
    {
        RequireRank(tensor, name, rank);
        if (tensor.dtype is not (ScalarType.Int64 or ScalarType.Int32))
        {
            throw Error(name, $"expected int64 or int32, found {tensor.dtype}");
        }
    }

    public static void RequireRank(Tensor tensor, string name, int rank)
    {
        if (tensor.dim() != rank)
        {
            throw Error(name, $"expected {rank} axes, found {Shape(tensor)}");
        }
    }

    public static void RequireShape(Tensor tensor, string name, params ReadOnlySpan<long> shape)
    {
        if (!shape.SequenceEqual(tensor.shape))
        {
            throw Error(name, $"expected [{string.Join(", ", shape.ToArray())}], found {Shape(tensor)}");
        }
    }

    /// <summary>The values of an integer tensor, whatever its type, shape and device.</summary>
    public static long[] ToArray(Tensor integers)
    {
        using Tensor flat = integers.to_type(ScalarType.Int64).cpu().flatten().contiguous();
        return flat.data<long>().ToArray();
    }

    public static ArgumentException Error(string name, string problem) => new($"{name}: {problem}");

    public static string Shape(Tensor tensor) => $"[{string.Join(", ", tensor.shape)}]";
}
