using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Testing;

/// <summary>What Hugging Face computes for the models of tests.</summary>
public static class ReferenceData
{
    private const string FileName = "expected.safetensors";

    /// <summary>For a reference case.</summary>
    public static SafetensorsValues OfCase(string name) =>
        SafetensorsValues.Open(Path.Combine(TestData.Case(name), FileName));

    /// <summary>For the small real checkpoint.</summary>
    public static SafetensorsValues OfTinyShakespeare() =>
        SafetensorsValues.Open(Path.Combine(TestData.TinyShakespeare, FileName));
}
