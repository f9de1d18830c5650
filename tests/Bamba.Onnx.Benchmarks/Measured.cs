using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Benchmarks;

/// <summary>The recorded measurements of the repository.</summary>
internal static class Measured
{
    /// <summary>The machine and what runs on it.</summary>
    public static string Machine =>
        $"{Environment.ProcessorCount} cores, {RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}";

    /// <summary>Replaces a record.</summary>
    public static void Write(string name, JsonObject record)
    {
        string folder = Path.Combine(TestData.Root, "tests", "measured");
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, name), record.ToJsonString(new() { WriteIndented = true }) + "\n");
    }
}
