using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.SyntheticWeights;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Native.Tests;

/// <summary>Weights of few bits are read where their file is mapped: a process has them as pages of the file and no copy.</summary>
[Collection(nameof(MappedWeightsTests))]
[CollectionDefinition(nameof(MappedWeightsTests), DisableParallelization = true)]
public sealed class MappedWeightsTests
{
    private const long LeastWeightBytes = 100_000_000;
    private const long MostPrivateBytes = 20_000_000;

    [Theory]
    [InlineData(4, 128)]
    [InlineData(4, 32)]
    [InlineData(8, 128)]
    public void A_quantized_model_takes_little_private_memory_beside_its_file(int bits, int groupSize)
    {
        Assert.SkipUnless(PrivateMemory.IsSupported, "private memory is read from /proc, which is Linux's");
        using var folder = new TemporaryFolder();
        long weightBytes = Write(folder, bits, groupSize);
        Assert.InRange(weightBytes, LeastWeightBytes, long.MaxValue);
        // What ONNX Runtime takes for its own code is there before.
        Use(ExportedModels.Of(TestData.TinyShakespeare));
        using PrivateMemory memory = PrivateMemory.Watch();
        Use(folder["model"]);
        Assert.InRange(memory.PeakOverIdleBytes, 0, MostPrivateBytes);
    }

    private static void Use(string model)
    {
        var options = new BambaRuntimeOptions { CustomOps = CustomOps.FromFile(NativeBuild.Library), Threads = 2 };
        using BambaRuntime runtime = BambaRuntime.Load(model, options);
        using BambaSession session = runtime.CreateSession(contextLength: 64);
        session.Prefill(new[] { 1, 2, 3, 4, 5 });
        for (int token = 6; token < 10; token++)
        {
            session.Decode(token);
        }
    }

    /// <summary>A model of the 9B's kind with two hundred million random weights.</summary>
    private static long Write(TemporaryFolder folder, int bits, int groupSize)
    {
        JsonNode config = JsonNode.Parse(File.ReadAllText(TestData.Bamba9BConfig))!;
        foreach (
            (string key, int value) in (ReadOnlySpan<(string, int)>)
                [
                    ("hidden_size", 1024),
                    ("num_hidden_layers", 8),
                    ("num_attention_heads", 16),
                    ("num_key_value_heads", 4),
                    ("intermediate_size", 4096),
                    ("mamba_n_heads", 32),
                    ("vocab_size", 32000),
                    ("bos_token_id", 1),
                    ("eos_token_id", 2),
                ]
        )
        {
            config[key] = value;
        }
        config["attn_layer_indices"] = new JsonArray(5);
        Directory.CreateDirectory(folder["checkpoint"]);
        File.WriteAllText(Path.Combine(folder["checkpoint"], ModelFiles.Config), config.ToJsonString());
        var weights = new WeightQuantization
        {
            Bits = bits,
            GroupSize = groupSize,
            Scales = ElementType.Float16,
        };
        BambaExporter.Export(
            folder["checkpoint"],
            folder["model"],
            new ExportOptions { Quantization = QuantizationOptions.Of(weights), Weights = false }
        );
        return SyntheticWeightsWriter.Write(folder["model"], hash: false);
    }
}
