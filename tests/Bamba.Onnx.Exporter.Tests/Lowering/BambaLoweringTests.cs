using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Lowering;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using TorchSharp;

namespace Bamba.Onnx.Exporter.Tests.Lowering;

public sealed class BambaLoweringTests
{
    private static (Dictionary<GraphProfile, ModelProto> Graphs, WeightPlan Weights) Lower(
        BambaConfig config,
        GraphOptions? options = null
    )
    {
        using var module = new BambaForCausalLM(config, new BambaModuleOptions { Device = DeviceType.META });
        var weights = new WeightPlan();
        var graphs = Enum.GetValues<GraphProfile>()
            .ToDictionary(
                profile => profile,
                profile =>
                    BambaLowering.Lower(module, profile, options ?? new GraphOptions(), 64, ("test", "1"), weights)
            );
        return (graphs, weights);
    }

    private static BambaConfig Config(string name) =>
        BambaConfig.Load(Path.Combine(TestData.Case(name), "config.json"));

    [Theory]
    [InlineData("base")]
    [InlineData("two-groups")]
    [InlineData("all-mamba")]
    public void Every_parameter_of_the_checkpoint_is_read_once(string name)
    {
        BambaConfig config = Config(name);
        (_, WeightPlan weights) = Lower(config);
        string[] generated = ["rotary_emb.cos", "rotary_emb.sin", "conv1d.zero_bias"];
        Assert.Equal(
            BambaTensors.Of(config).Keys.Order(StringComparer.Ordinal),
            weights.Entries.SelectMany(entry => PlanCheck.TensorsOf(entry.Source)).Order(StringComparer.Ordinal)
        );
        Assert.Equal(
            weights.Entries.Where(entry => entry.Source is WeightSource.Generated).Select(entry => entry.Name).Order(),
            generated.Intersect(weights.Entries.Select(entry => entry.Name)).Order()
        );
    }

    [Fact]
    public void Projections_of_one_input_are_one_matrix_and_their_biases_one_vector()
    {
        BambaConfig config = Config("base") with { AttentionBias = true, MlpBias = true };
        (_, WeightPlan weights) = Lower(config);
        int layer = config.Layers.IndexOf(LayerKind.Attention);
        int width = (config.NumAttentionHeads + (2 * config.NumKeyValueHeads)) * config.HeadDim;
        AssertTogether($"model.layers.{layer}.self_attn", "qkv_proj", ["q_proj", "k_proj", "v_proj"], width);
        AssertTogether(
            $"model.layers.{layer}.feed_forward",
            "gate_up_proj",
            ["gate_proj", "up_proj"],
            2 * config.IntermediateSize
        );

        void AssertTogether(string parent, string name, string[] parts, long outputs)
        {
            WeightEntry weight = weights.Entries.Single(entry => entry.Name == $"{parent}.{name}.weight");
            Assert.Equal([config.HiddenSize, outputs], weight.Shape);
            var transpose = Assert.IsType<WeightSource.Transpose>(weight.Source);
            Assert.Equal(parts.Select(part => $"{parent}.{part}.weight"), transpose.Tensors);
            WeightEntry bias = weights.Entries.Single(entry => entry.Name == $"{parent}.{name}.bias");
            Assert.Equal([outputs], bias.Shape);
            var copy = Assert.IsType<WeightSource.Copy>(bias.Source);
            Assert.Equal(parts.Select(part => $"{parent}.{part}.bias"), copy.Tensors);
        }
    }

    [Fact]
    public void Graphs_share_their_weights()
    {
        (Dictionary<GraphProfile, ModelProto> graphs, WeightPlan weights) = Lower(Config("base"));
        Assert.All(graphs.Values, graph => Assert.Equal(weights.Entries.Count, graph.Graph.Initializer.Count));
    }

    [Theory]
    [InlineData("base")]
    [InlineData("bamba-9b-heads")]
    [InlineData("all-mamba")]
    public void Every_value_is_made_before_it_is_read_and_every_name_once(string name)
    {
        foreach (ModelProto model in Lower(Config(name)).Graphs.Values)
        {
            var known = model
                .Graph.Input.Select(input => input.Name)
                .Concat(model.Graph.Initializer.Select(t => t.Name))
                .ToHashSet();
            foreach (NodeProto node in model.Graph.Node)
            {
                Assert.All(node.Input.Where(input => input.Length > 0), input => Assert.Contains(input, known));
                Assert.All(
                    node.Output.Where(output => output.Length > 0),
                    output => Assert.True(known.Add(output), $"{output} is made twice")
                );
            }
            Assert.All(model.Graph.Output, output => Assert.Contains(output.Name, known));
            Assert.Equal(model.Graph.Node.Count, model.Graph.Node.Select(node => node.Name).Distinct().Count());
        }
    }

    [Fact]
    public void A_layer_is_eight_nodes_with_a_mixer_of_one()
    {
        BambaConfig config = BambaConfig.Load(TestData.Bamba9BConfig);
        foreach (ModelProto model in Lower(config).Graphs.Values)
        {
            for (int layer = 0; layer < config.Layers.Length; layer++)
            {
                string scope = $"/model/layers.{layer}/";
                Assert.Equal(
                    [
                        "SkipSimplifiedLayerNormalization",
                        "MatMul",
                        config.Layers[layer] == LayerKind.Mamba ? "Mamba2ChunkScan" : "GroupQueryAttention",
                        "MatMul",
                        "SkipSimplifiedLayerNormalization",
                        "MatMul",
                        "SwiGLU",
                        "MatMul",
                    ],
                    model
                        .Graph.Node.Where(node => node.Name.StartsWith(scope, StringComparison.Ordinal))
                        .Select(node => node.OpType)
                );
            }
        }
    }

    [Theory]
    [InlineData("bamba-9b-heads", true)]
    [InlineData("base", false)]
    public void Attention_takes_queries_keys_and_values_as_they_come_where_it_rotates_them(string name, bool packed)
    {
        foreach (ModelProto model in Lower(Config(name)).Graphs.Values)
        {
            NodeProto attention = model.Graph.Node.First(node => node.OpType == "GroupQueryAttention");
            Assert.Equal(packed, attention.Input[1].Length == 0);
            Assert.Equal(packed, attention.Input[2].Length == 0);
            Assert.Equal(packed ? 1 : 0, attention.Attribute.Single(attribute => attribute.Name == "do_rotary").I);
            Assert.Equal(packed, model.Functions.All(function => function.Name != "RotaryEmbedding"));
        }
    }

    public static MatrixTheoryData<string, LogitsPositions> DeviceCases =>
        new(["9b", .. TestData.CaseNames], [LogitsPositions.All, LogitsPositions.Last]);

    [Theory]
    [MemberData(nameof(DeviceCases))]
    public void Values_of_shapes_reach_a_device_only_where_its_kernels_read_the_host(
        string name,
        LogitsPositions logits
    )
    {
        BambaConfig config = name == "9b" ? BambaConfig.Load(TestData.Bamba9BConfig) : Config(name);
        var options = new GraphOptions { Logits = logits, OutputHiddenStates = true };
        foreach (ModelProto model in Lower(config, options).Graphs.Values)
        {
            HostValues.AssertApart(model);
        }
    }
}
