using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Testing;

/// <summary>What Hugging Face computes for the models of tests.</summary>
public static class ReferenceData
{
    private const string FileName = "expected.safetensors";

    /// <summary>For a checkpoint, which lies beside it.</summary>
    public static SafetensorsValues Of(string checkpoint) => SafetensorsValues.Open(Path.Combine(checkpoint, FileName));

    /// <summary>For a reference case.</summary>
    public static SafetensorsValues OfCase(string name) => Of(TestData.Case(name));

    /// <summary>For the small real checkpoint.</summary>
    public static SafetensorsValues OfTinyShakespeare() => Of(TestData.TinyShakespeare);
}
