using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Bamba.Onnx.State;

/// <summary>Element types in ONNX Runtime's terms.</summary>
internal static class OrtElementTypes
{
    /// <summary>ONNX Runtime's name for an element type.</summary>
    public static TensorElementType Of(ElementType type) =>
        type switch
        {
            ElementType.Float32 => TensorElementType.Float,
            ElementType.Float16 => TensorElementType.Float16,
            ElementType.BFloat16 => TensorElementType.BFloat16,
            ElementType.Int32 => TensorElementType.Int32,
            ElementType.Int64 => TensorElementType.Int64,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
        };
}
