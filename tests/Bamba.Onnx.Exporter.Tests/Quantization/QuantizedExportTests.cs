using System.Collections.Immutable;
using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Lowering;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using TorchSharp;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

/// <summary>Exports with matrices of few bits: which nodes read them, and what lies in the weights file.</summary>
public sealed class QuantizedExportTests
{
    private static readonly WeightQuantization Int4 = new() { Bits = 4, GroupSize = 128 };

    [Fact]
    public void Every_matrix_is_multiplied_or_looked_up_in_few_bits_and_nothing_else_changes()
    {
        BambaConfig config = BambaConfig.Load(TestData.Bamba9BConfig);
        foreach (GraphProfile profile in ExportLayout.DefaultProfiles)
        {
            string[] expected =
            [
                .. Lower(config, profile, null)
                    .Graph.Node.Select(node =>
                        node.OpType == "MatMul" ? "MatMulNBits"
                        : node.Name == "/model/Gather" ? "GatherBlockQuantized"
                        : node.OpType
                    ),
            ];
            ModelProto quantized = Lower(config, profile, QuantizationOptions.Of(Int4));
            Assert.Equal(expected, quantized.Graph.Node.Select(node => node.OpType));
            Assert.Equal(1 + 129, expected.Count(op => op is "MatMulNBits" or "GatherBlockQuantized"));
        }
    }

    [Theory]
    [InlineData(ZeroPoints.Integer, new[] { "scales" })]
    [InlineData(ZeroPoints.Float, new[] { "scales", "zero_points" })]
    public void Scales_of_half_the_bytes_are_converted_in_the_function_and_after_looking_up(
        ZeroPoints zeroPoints,
        string[] converted
    )
    {
        BambaConfig config = BambaConfig.Load(TestData.Bamba9BConfig);
        WeightQuantization format = Int4 with { ZeroPoints = zeroPoints };
        ModelProto whole = Lower(config, GraphProfile.Runtime, QuantizationOptions.Of(format));
        ModelProto half = Lower(
            config,
            GraphProfile.Runtime,
            QuantizationOptions.Of(format with { Scales = ElementType.Float16 })
        );
        string[] expected =
        [
            .. whole.Graph.Node.SelectMany(node =>
                node.OpType == "GatherBlockQuantized" ? [node.OpType, "Cast"] : (string[])[node.OpType]
            ),
        ];
        Assert.Equal(expected, half.Graph.Node.Select(node => node.OpType));
        Assert.All(
            half.Graph.Initializer.Where(tensor => tensor.Name.EndsWith(".scales", StringComparison.Ordinal)),
            scales => Assert.Equal((int)ElementType.Float16.ToOnnx(), scales.DataType)
        );
        Assert.Equal(converted, CastsOf(half));
        Assert.Empty(CastsOf(whole));
        Assert.Equal(
            Lower(config, GraphProfile.Runtime, QuantizationOptions.Of(format)),
            Lower(config, GraphProfile.Runtime, QuantizationOptions.Of(format with { Scales = ElementType.Float32 }))
        );

        static IEnumerable<string> CastsOf(ModelProto model) =>
            model
                .Functions.Single(function => function.Name == "MatMulNBits")
                .Node.Where(node => node.OpType == "CastLike")
                .Select(node => node.Input[0]);
    }

    [Theory]
    [InlineData(
        ElementType.Float32,
        ElementType.BFloat16,
        "expected scales of f32 or f16 with activations of f32, found bf16"
    )]
    [InlineData(ElementType.Float16, ElementType.Float32, "expected scales of f16 with activations of f16, found f32")]
    public void Scales_that_activations_do_not_go_with_are_refused(
        ElementType dtype,
        ElementType scales,
        string problem
    )
    {
        QuantizationOptions options = QuantizationOptions.Of(Int4 with { Scales = scales });
        ArgumentException error = Assert.Throws<ArgumentException>(() => options.For(Config("base"), dtype));
        Assert.Contains(problem, error.Message);
    }

    [Fact]
    public void A_tied_head_with_codes_for_zero_is_refused_beside_float_zero_points_of_half_the_bytes()
    {
        QuantizationOptions options = QuantizationOptions.Of(
            Int4 with
            {
                GroupSize = 32,
                ZeroPoints = ZeroPoints.Float,
                Scales = ElementType.Float16,
            }
        );
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            options.For(Config("two-groups"), ElementType.Float32)
        );
        Assert.Contains("the embedding, which is looked up, is the head too", error.Message);
        Assert.NotNull(options.For(Config("base"), ElementType.Float32));
    }

    [Fact]
    public void Embedding_head_and_kept_matrices_are_chosen_apart()
    {
        BambaConfig config = Config("base");
        var options = new QuantizationOptions
        {
            Layers = Int4,
            Embedding = Int4 with { Bits = 8, GroupSize = 32 },
            Head = null,
            Keep = ["*.k_proj.weight", "model.layers.0.mamba.*"],
        };
        WeightPlan plan = PlanOf(config, options);
        var formats = plan.QuantizedMatrices.ToDictionary();
        Assert.Equal(8, formats["model.embed_tokens.weight"].Bits);
        Assert.DoesNotContain("lm_head.weight", formats.Keys);
        Assert.DoesNotContain("model.layers.0.mamba.in_proj.weight", formats.Keys);
        Assert.Contains("model.layers.0.feed_forward.down_proj.weight", formats.Keys);
        // Kept for the keys in it.
        Assert.DoesNotContain(formats.Keys, name => name.Contains("qkv_proj", StringComparison.Ordinal));
        Assert.Contains(formats.Keys, name => name.EndsWith("self_attn.o_proj.weight", StringComparison.Ordinal));
    }

    [Fact]
    public void A_tied_head_reads_the_bytes_of_the_embedding()
    {
        BambaConfig config = Config("two-groups");
        ModelProto model = Lower(config, GraphProfile.Portable, QuantizationOptions.Of(Int4 with { GroupSize = 32 }));
        TensorProto[] codes =
        [
            .. model.Graph.Initializer.Where(tensor =>
                tensor.Name is "lm_head.weight.codes" or "model.embed_tokens.weight.codes"
            ),
        ];
        Assert.Equal(2, codes.Length);
        Assert.Single(codes.Select(tensor => Entry(tensor, "offset")).Distinct());
        Assert.Single(codes.Select(tensor => Entry(tensor, "length")).Distinct());
        Assert.Contains(model.Graph.Node, node => node.Input.Contains("lm_head.weight.codes"));
    }

    [Theory]
    [InlineData(192, 128, 64)]
    [InlineData(96, 64, 32)]
    [InlineData(80, 128, null)]
    public void Groups_of_the_embedding_divide_hidden_size(int hiddenSize, int asked, int? found)
    {
        BambaConfig config = Config("base") with { HiddenSize = hiddenSize };
        QuantizationOptions options = QuantizationOptions
            .Of(Int4 with { GroupSize = asked })
            .For(config, ElementType.Float32);
        Assert.Equal(found, options.Embedding?.GroupSize);
        Assert.Equal(asked, options.Layers!.GroupSize);
    }

    [Theory]
    [InlineData(ElementType.Float32, ZeroPoints.None, null)]
    [InlineData(ElementType.Float32, ZeroPoints.Integer, null)]
    [InlineData(ElementType.Float16, ZeroPoints.Float, null)]
    // A file for each part, which are written at once.
    [InlineData(ElementType.Float16, ZeroPoints.Float, 64L)]
    public void The_file_holds_rows_as_the_quantizer_makes_them(
        ElementType dtype,
        ZeroPoints zeroPoints,
        long? maxShardBytes
    )
    {
        using var folder = new TemporaryFolder();
        using CheckpointFolder checkpoint = CheckpointFolder.Open(TestData.Case("base"));
        using SafetensorsValues weights = SafetensorsValues.Open(
            Path.Combine(TestData.Case("base"), ModelFiles.Checkpoint)
        );
        WeightQuantization format = Int4 with { GroupSize = 32, ZeroPoints = zeroPoints };
        var plan = new WeightPlan(maxShardBytes);
        const string Mlp = "model.layers.0.feed_forward.";
        ImmutableArray<string> tensors = [$"{Mlp}gate_proj.weight", $"{Mlp}up_proj.weight"];
        int columns = checkpoint.Config.HiddenSize;
        QuantizedEntries entries = plan.Quantized(
            "gate_up",
            tensors,
            (2 * checkpoint.Config.IntermediateSize, columns),
            format,
            dtype
        );
        // Tiles of three rows.
        var limits = new StreamLimits(2, 3 * columns * sizeof(float));
        WeightResult result = WeightStreamer.Write(checkpoint, plan, folder["weights"], limits);

        byte[][] files =
        [
            .. result.Files.Select(
                (file, shard) =>
                {
                    Assert.Equal(ModelFiles.Shard("weights", shard), file.Name);
                    byte[] bytes = File.ReadAllBytes(folder[file.Name]);
                    Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), file.Sha256);
                    return bytes;
                }
            ),
        ];
        Assert.Equal(maxShardBytes is null ? 1 : 3, files.Length);
        var quantizer = new RowQuantizer(format, dtype, columns);
        byte[] codes = new byte[quantizer.CodeBytes];
        byte[] scales = new byte[quantizer.ScaleBytes];
        byte[] zeros = new byte[quantizer.ZeroPointBytes];
        var error = new QuantizationError();
        int row = 0;
        foreach (string tensor in tensors)
        {
            foreach (float[] values in weights.Floats(tensor).Chunk(columns))
            {
                error += quantizer.Quantize(values, codes, scales, zeros);
                Assert.Equal(codes, Row(files, entries.Codes, row));
                Assert.Equal(scales, Row(files, entries.Scales, row));
                if (entries.ZeroPoints is { } entry)
                {
                    Assert.Equal(zeros, Row(files, entry, row));
                }
                row++;
            }
        }
        Assert.Equal(entries.Codes.Shape[0], row);
        Assert.InRange(result.RelativeErrors["gate_up"] / error.Relative, 0.9999, 1.0001);
    }

    [Theory]
    [InlineData(float.NaN, ElementType.Float32, null, "expected a finite value, found NaN")]
    [InlineData(float.PositiveInfinity, ElementType.Float32, null, "expected a finite value, found ")]
    [InlineData(
        1e6f,
        ElementType.Float16,
        null,
        "1000000 needs a scale of 125000, which does not fit f16; choose bf16 or f32"
    )]
    [InlineData(
        4e4f,
        ElementType.Float16,
        ElementType.Float16,
        "40000 needs a scale of 5000, which does not fit f16 15 times; choose scales of f32"
    )]
    public void A_weight_without_a_code_is_named(float value, ElementType scaleType, ElementType? asked, string problem)
    {
        using var folder = new TemporaryFolder();
        File.Copy(Path.Combine(TestData.Case("base"), ModelFiles.Config), folder[ModelFiles.Config]);
        float[] values = new float[3 * 40];
        values[(2 * 40) + 7] = value;
        using (
            SafetensorsWriter writer = SafetensorsWriter.Create(
                folder[ModelFiles.Checkpoint],
                [("model.matrix", ElementType.Float32, [3, 40])]
            )
        )
        {
            writer.Write(writer.Tensors[0], 0, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values.AsSpan()));
        }
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder.Path);
        var plan = new WeightPlan();
        plan.Quantized("matrix", ["model.matrix"], (3, 40), Int4 with { Scales = asked }, scaleType);
        BambaFormatException error = Assert.Throws<BambaFormatException>(() =>
            WeightStreamer.Write(checkpoint, plan, folder["out"])
        );
        Assert.Contains($"tensor model.matrix, element [2, 7]: {problem}", error.Message);
    }

    [Theory]
    [InlineData(3, 128, "expected 4 or 8 bits, found 3")]
    [InlineData(4, 48, "expected groups of 32, 64 or 128, found 48")]
    public void Formats_that_there_are_not_are_refused(int bits, int groupSize, string problem)
    {
        QuantizationOptions options = QuantizationOptions.Of(
            new WeightQuantization { Bits = bits, GroupSize = groupSize }
        );
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            options.For(Config("base"), ElementType.Float32)
        );
        Assert.Contains(problem, error.Message);
    }

    [Fact]
    public void Float_zero_points_of_eight_bits_and_names_that_nothing_has_are_refused()
    {
        BambaConfig config = Config("base");
        QuantizationOptions eight = QuantizationOptions.Of(Int4 with { Bits = 8, ZeroPoints = ZeroPoints.Float });
        Assert.Contains(
            "float zero points",
            Assert.Throws<ArgumentException>(() => eight.For(config, ElementType.Float32)).Message
        );
        QuantizationOptions kept = QuantizationOptions.Of(Int4) with { Keep = ["lm_haed.weight"] };
        Assert.Contains(
            "such as lm_head.weight; found lm_haed.weight",
            Assert.Throws<ArgumentException>(() => kept.For(config, ElementType.Float32)).Message
        );
    }

    [Theory]
    [InlineData(null)]
    [InlineData(ElementType.Float16)]
    public void The_manifest_tells_formats_and_errors(ElementType? scales)
    {
        WeightQuantization format = Int4 with { GroupSize = 32, Scales = scales };
        ModelManifest manifest = ModelManifest.Load(
            ExportedModels.Of(
                TestData.TinyShakespeare,
                new ExportOptions { Quantization = QuantizationOptions.Of(format) }
            )
        );
        ImmutableArray<ManifestMatrix> matrices = Assert.NotNull(manifest.Quantization);
        // Embedding, head, and four a layer.
        Assert.Equal(2 + (4 * 8), matrices.Length);
        Assert.All(matrices, matrix => Assert.InRange(matrix.RelativeError!.Value, 0.03, 0.12));
        Assert.All(matrices, matrix => Assert.Equal(format, matrix.Format));
        Assert.Null(ModelManifest.Load(ExportedModels.Of(TestData.TinyShakespeare)).Quantization);
    }

    private static BambaConfig Config(string name) =>
        BambaConfig.Load(Path.Combine(TestData.Case(name), ModelFiles.Config));

    private static WeightPlan PlanOf(BambaConfig config, QuantizationOptions options)
    {
        var plan = new WeightPlan();
        Lower(config, GraphProfile.Runtime, options, plan);
        return plan;
    }

    private static ModelProto Lower(
        BambaConfig config,
        GraphProfile profile,
        QuantizationOptions? options,
        WeightPlan? plan = null
    )
    {
        using var module = new BambaForCausalLM(config, new BambaModuleOptions { Device = DeviceType.META });
        return BambaLowering.Lower(
            module,
            profile,
            new GraphOptions(),
            64,
            ("test", "1"),
            plan ?? new WeightPlan(),
            options?.For(config, ElementType.Float32)
        );
    }

    private static string Entry(TensorProto tensor, string key) =>
        tensor.ExternalData.Single(entry => entry.Key == key).Value;

    private static byte[] Row(byte[][] files, WeightEntry entry, int row)
    {
        int bytes = (int)(entry.Bytes / entry.Shape[0]);
        return files[entry.Shard].AsSpan((int)entry.Offset + (row * bytes), bytes).ToArray();
    }
}
