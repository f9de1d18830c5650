namespace Bamba.Onnx.Contract;

/// <summary>The element types that checkpoints, graphs and buffers of this project hold.</summary>
public enum ElementType
{
    /// <summary>IEEE 754 binary32.</summary>
    Float32,

    /// <summary>IEEE 754 binary16.</summary>
    Float16,

    /// <summary>The upper half of binary32.</summary>
    BFloat16,

    /// <summary>Signed 32-bit integer.</summary>
    Int32,

    /// <summary>Signed 64-bit integer.</summary>
    Int64,

    /// <summary>Unsigned 8-bit integer: a byte of packed codes.</summary>
    UInt8,
}

/// <summary>Sizes and names of <see cref="ElementType"/>.</summary>
public static class ElementTypes
{
    /// <summary>Bytes of one element.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="type"/> is not a defined value.</exception>
    public static int SizeInBytes(this ElementType type) =>
        type switch
        {
            ElementType.Float16 or ElementType.BFloat16 => 2,
            ElementType.Float32 or ElementType.Int32 => 4,
            ElementType.Int64 => 8,
            ElementType.UInt8 => 1,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
        };

    /// <summary>The name on the command line and in <c>bamba.json</c>: f32, f16, bf16, i32, i64, u8.</summary>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="type"/> is not a defined value.</exception>
    public static string ShortName(this ElementType type) =>
        type switch
        {
            ElementType.Float32 => "f32",
            ElementType.Float16 => "f16",
            ElementType.BFloat16 => "bf16",
            ElementType.Int32 => "i32",
            ElementType.Int64 => "i64",
            ElementType.UInt8 => "u8",
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, null),
        };

    /// <summary>
    /// Reads a name in the spelling of the command line (<c>f16</c>), of PyTorch (<c>float16</c>, <c>torch.float16</c>)
    /// or of safetensors (<c>F16</c>).
    /// </summary>
    /// <returns>Whether <paramref name="name"/> is one of them.</returns>
    public static bool TryParse(string name, out ElementType type)
    {
        ArgumentNullException.ThrowIfNull(name);
        ElementType? found = name.Replace("torch.", "", StringComparison.Ordinal).ToLowerInvariant() switch
        {
            "f32" or "float32" or "float" => ElementType.Float32,
            "f16" or "float16" or "half" => ElementType.Float16,
            "bf16" or "bfloat16" => ElementType.BFloat16,
            "i32" or "int32" => ElementType.Int32,
            "i64" or "int64" => ElementType.Int64,
            "u8" or "uint8" => ElementType.UInt8,
            _ => null,
        };
        type = found.GetValueOrDefault();
        return found is not null;
    }
}
