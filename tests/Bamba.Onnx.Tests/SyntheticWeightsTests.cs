using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.SyntheticWeights;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests;

/// <summary>Random weights beside graphs that were exported without any.</summary>
public sealed class SyntheticWeightsTests
{
    [Theory]
    [InlineData(ElementType.Float32, null, ZeroPoints.None)]
    [InlineData(ElementType.Float16, null, ZeroPoints.None)]
    [InlineData(ElementType.Float32, 4, ZeroPoints.Integer)]
    [InlineData(ElementType.Float32, 8, ZeroPoints.None)]
    public void A_model_with_random_weights_runs_and_its_logits_are_finite(
        ElementType dtype,
        int? bits,
        ZeroPoints zeroPoints
    )
    {
        using var folder = new TemporaryFolder();
        SyntheticWeightsWriter.Write(Export(folder, "model", dtype, FewBits.Of(bits, zeroPoints: zeroPoints)));
        using BambaRuntime runtime = BambaRuntime.Load(folder["model"]);
        using BambaSession session = runtime.CreateSession();
        session.Prefill(new[] { 1, 2, 3, 4, 5 });
        for (int token = 6; token < 10; token++)
        {
            float[] logits = session.Decode(token).Row(0).ToArray();
            Assert.All(logits, logit => Assert.True(float.IsFinite(logit)));
            Assert.True(logits.Max() - logits.Min() is > 0.1f and < 100);
        }
    }

    [Fact]
    public void The_same_seed_gives_the_same_bytes_and_another_one_others()
    {
        using var folder = new TemporaryFolder();
        foreach ((string name, ulong seed) in (ReadOnlySpan<(string, ulong)>)[("a", 7), ("b", 7), ("c", 8)])
        {
            SyntheticWeightsWriter.Write(Export(folder, name), seed);
        }
        byte[] bytes = WeightsOf(folder["a"]);
        Assert.Equal(bytes, WeightsOf(folder["b"]));
        Assert.NotEqual(bytes, WeightsOf(folder["c"]));
    }

    [Theory]
    [InlineData(null, 1)]
    [InlineData(2_000_000L, 10)]
    public void The_manifest_tells_size_and_hash_of_the_weights_as_they_are(long? maxShardBytes, int leastFiles)
    {
        using var folder = new TemporaryFolder();
        long written = SyntheticWeightsWriter.Write(Export(folder, "model", maxShardBytes: maxShardBytes));
        ModelManifest manifest = ModelManifest.Load(folder["model"]);
        ManifestFile[] files = [.. manifest.Files.Where(file => manifest.Layout.IsWeights(file.Name))];
        Assert.True(manifest.Options.Weights);
        Assert.Equal(written, manifest.WeightBytes);
        Assert.InRange(files.Length, leastFiles, maxShardBytes is null ? 1 : 100);
        foreach (ManifestFile file in files)
        {
            byte[] bytes = File.ReadAllBytes(Path.Combine(folder["model"], file.Name));
            Assert.Equal(file.Bytes, bytes.LongLength);
            Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), file.Sha256);
        }
        using BambaRuntime runtime = BambaRuntime.Load(folder["model"]);
        using BambaSession session = runtime.CreateSession();
        session.Prefill(new[] { 1, 2, 3 });
    }

    [Fact]
    public void Every_initializer_is_written_to_its_last_element()
    {
        using var folder = new TemporaryFolder();
        SyntheticWeightsWriter.Write(Export(folder, "model"));
        byte[] bytes = WeightsOf(folder["model"]);
        foreach (GraphProfile profile in ExportLayout.DefaultProfiles)
        {
            foreach (TensorProto tensor in InitializersOf(folder["model"], profile))
            {
                float[] values = Values(bytes, tensor);
                Assert.Equal(tensor.Dims.Aggregate(1L, (product, size) => product * size), values.Length);
                // No random value is exactly zero, and a table of sines begins with a row of them.
                int zeros = values.Count(value => value == 0);
                int expected = tensor.Name switch
                {
                    "rotary_emb.sin" => (int)tensor.Dims[^1],
                    "conv1d.zero_bias" => values.Length,
                    _ => 0,
                };
                Assert.Equal((tensor.Name, expected), (tensor.Name, zeros));
            }
        }
    }

    [Fact]
    public void Values_have_the_scale_of_a_trained_model()
    {
        using var folder = new TemporaryFolder();
        SyntheticWeightsWriter.Write(Export(folder, "model"));
        byte[] bytes = WeightsOf(folder["model"]);
        Dictionary<string, float[]> values = InitializersOf(folder["model"], GraphProfile.Runtime)
            .ToDictionary(tensor => tensor.Name, tensor => Values(bytes, tensor));
        Assert.All(
            values.Where(pair => pair.Key.EndsWith(".A_log", StringComparison.Ordinal)),
            pair => Between(pair.Value, 0, Math.Log(16))
        );
        Assert.All(
            values.Where(pair => pair.Key.EndsWith(".dt_bias", StringComparison.Ordinal)),
            pair => Between(pair.Value, -6.91, -2.25)
        );
        Assert.All(
            values.Where(pair => pair.Key.EndsWith("norm.weight", StringComparison.Ordinal)),
            pair => Between(pair.Value, 0.4, 1.6)
        );
        float[] matrix = values["model.embed_tokens.weight"];
        Assert.InRange(Math.Sqrt(matrix.Average(value => (double)value * value)), 0.019, 0.021);
    }

    [Fact]
    public void Rotary_tables_are_those_of_the_exporter()
    {
        using var folder = new TemporaryFolder();
        SyntheticWeightsWriter.Write(Export(folder, "model"));
        string exported = ExportedModels.Of(TestData.TinyShakespeare);
        foreach (string name in (string[])["rotary_emb.cos", "rotary_emb.sin"])
        {
            TensorProto tensor = InitializersOf(exported, GraphProfile.Runtime).Single(tensor => tensor.Name == name);
            Assert.Equal(Values(WeightsOf(exported), tensor), Values(WeightsOf(folder["model"]), tensor));
        }
    }

    [Fact]
    public void A_model_that_has_weights_keeps_them()
    {
        string folder = ExportedModels.CopyOf(TestData.TinyShakespeare);
        byte[] before = WeightsOf(folder);
        Assert.Throws<BambaException>(() => SyntheticWeightsWriter.Write(folder));
        Assert.Equal(before, WeightsOf(folder));
        Directory.Delete(folder, recursive: true);
    }

    private static string Export(
        TemporaryFolder folder,
        string name,
        ElementType dtype = ElementType.Float32,
        QuantizationOptions? quantization = null,
        long? maxShardBytes = null
    )
    {
        var options = new ExportOptions
        {
            Dtype = dtype,
            Quantization = quantization,
            MaxShardBytes = maxShardBytes,
            Weights = false,
        };
        BambaExporter.Export(TestData.TinyShakespeare, folder[name], options);
        return folder[name];
    }

    private static byte[] WeightsOf(string folder) => File.ReadAllBytes(Path.Combine(folder, ModelFiles.Weights));

    private static List<TensorProto> InitializersOf(string folder, GraphProfile profile)
    {
        using FileStream stream = File.OpenRead(Path.Combine(folder, ModelFiles.Graph(profile)));
        return
        [
            .. ModelProto
                .Parser.ParseFrom(stream)
                .Graph.Initializer.Where(tensor => tensor.DataLocation == TensorProto.Types.DataLocation.External),
        ];
    }

    private static float[] Values(byte[] weights, TensorProto tensor)
    {
        int offset = int.Parse(tensor.ExternalData.Single(entry => entry.Key == "offset").Value);
        int length = int.Parse(tensor.ExternalData.Single(entry => entry.Key == "length").Value);
        return MemoryMarshal.Cast<byte, float>(weights.AsSpan(offset, length)).ToArray();
    }

    private static void Between(float[] values, double least, double most) =>
        Assert.All(values, value => Assert.InRange(value, least, most));
}
