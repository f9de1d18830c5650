using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.SyntheticCheckpoint;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Benchmarks;

/// <summary>Peak private memory (RssAnon over the idle process) and time of exporting checkpoints of the 9B architecture, cut to size.</summary>
internal static class ExportMemory
{
    public static void Measure(IEnumerable<string> sizes)
    {
        // A first export loads libtorch and warms code up; what that takes belongs to the idle process.
        ExportedModels.Of(TestData.TinyShakespeare);
        var runs = new JsonArray();
        foreach (string size in sizes)
        {
            long bytes = (long)double.Parse(size, CultureInfo.InvariantCulture);
            foreach (ElementType dtype in (ElementType[])[ElementType.BFloat16, ElementType.Float32])
            {
                JsonObject run = Measure(bytes, dtype);
                Console.WriteLine(run.ToJsonString());
                runs.Add((JsonNode)run);
            }
        }
        var result = new JsonObject
        {
            ["what"] =
                "peak private memory (RssAnon over the idle process) of one export, synthetic bf16 checkpoint, one run each",
            ["machine"] = Measured.Machine,
            ["limit_bytes"] = 400_000_000,
            ["runs"] = runs,
        };
        Measured.Write("export-memory.json", result);
    }

    private static JsonObject Measure(long bytes, ElementType dtype)
    {
        string folder = Directory.CreateTempSubdirectory("bamba-export-memory-").FullName;
        try
        {
            string checkpoint = Path.Combine(folder, "checkpoint");
            SyntheticCheckpointWriter.Write(
                checkpoint,
                File.ReadAllBytes(TestData.Bamba9BConfig),
                new SyntheticCheckpointOptions { Bytes = bytes }
            );
            using PrivateMemory memory = PrivateMemory.Watch();
            var clock = Stopwatch.StartNew();
            ModelManifest manifest = BambaExporter.Export(
                checkpoint,
                Path.Combine(folder, "model"),
                new ExportOptions { Dtype = dtype, ContextLength = 4096 }
            );
            return new JsonObject
            {
                ["checkpoint_bytes"] = manifest.Parameters * sizeof(ushort),
                ["dtype"] = dtype.ShortName(),
                ["exported_bytes"] = manifest.Files.Sum(file => file.Bytes),
                ["peak_private_bytes_over_idle"] = memory.PeakOverIdleBytes,
                ["idle_private_bytes"] = memory.IdleBytes,
                ["seconds"] = Math.Round(clock.Elapsed.TotalSeconds, 1),
            };
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
