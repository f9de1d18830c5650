namespace Bamba.Onnx.Contract;

/// <summary>What transformers.js calls the types of a graph's weights; it finds the graph's file by it.</summary>
public enum WebDtype
{
    /// <summary>float32.</summary>
    Fp32,

    /// <summary>float16.</summary>
    Fp16,

    /// <summary>Matrices of 8 bits.</summary>
    Q8,

    /// <summary>Matrices of 4 bits beside float32.</summary>
    Q4,

    /// <summary>Matrices of 4 bits beside float16.</summary>
    Q4f16,
}

/// <summary>The names that go with a <see cref="WebDtype"/>.</summary>
public static class WebDtypes
{
    /// <summary>The type of an export.</summary>
    /// <param name="dtype">Its element type.</param>
    /// <param name="leastBits">The bits of its smallest matrix elements; null where all are of the element type.</param>
    /// <exception cref="ArgumentException">Transformers.js has no name for the element type: it is neither float32 nor float16.</exception>
    public static WebDtype Of(ElementType dtype, int? leastBits) =>
        (dtype, leastBits) switch
        {
            (ElementType.Float32, 4) => WebDtype.Q4,
            (ElementType.Float16, 4) => WebDtype.Q4f16,
            (ElementType.Float32 or ElementType.Float16, 8) => WebDtype.Q8,
            (ElementType.Float32, null) => WebDtype.Fp32,
            (ElementType.Float16, null) => WebDtype.Fp16,
            _ => throw new ArgumentException(
                $"expected f32 or f16 for profile web, which browsers run; found {dtype.ShortName()}",
                nameof(dtype)
            ),
        };

    /// <summary>The name in the options of transformers.js.</summary>
    public static string Name(this WebDtype dtype) => dtype.ToString().ToLowerInvariant();

    /// <summary>What ends the name of the graph's file, before <c>.onnx</c>.</summary>
    public static string FileSuffix(this WebDtype dtype) =>
        dtype switch
        {
            WebDtype.Fp32 => "",
            WebDtype.Q8 => "_quantized",
            _ => $"_{dtype.Name()}",
        };
}
