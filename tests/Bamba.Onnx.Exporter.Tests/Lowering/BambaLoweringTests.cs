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
    private static (Dictionary<GraphProfile, ModelProto> Graphs, WeightPlan Weights) Lower(BambaConfig config)
    {
        using var module = new BambaForCausalLM(config, new BambaModuleOptions { Device = DeviceType.META });
        var weights = new WeightPlan();
        var graphs = Enum.GetValues<GraphProfile>()
            .ToDictionary(
                profile => profile,
                profile => BambaLowering.Lower(module, profile, new GraphOptions(), 64, ("test", "1"), weights)
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
            weights.Entries.Select(entry => entry.Name).Except(generated).Order(StringComparer.Ordinal)
        );
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
    public void A_mamba_layer_is_norm_product_op_product_norm_of_the_sum_and_a_gated_MLP()
    {
        ModelProto graph = Lower(BambaConfig.Load(TestData.Bamba9BConfig)).Graphs[GraphProfile.Runtime];
        string[] operators =
        [
            .. graph
                .Graph.Node.Where(node => node.Name.StartsWith("/model/layers.0/", StringComparison.Ordinal))
                .Select(node => node.OpType),
        ];
        Assert.Equal(
            [
                "RMSNorm",
                "MatMul",
                "Mamba2ChunkScan",
                "MatMul",
                // It adds before it norms; what the MLP gives, the next layer's norm adds.
                "SkipSimplifiedLayerNormalization",
                "MatMul",
                "MatMul",
                "Sigmoid",
                "Mul",
                "Mul",
                "MatMul",
            ],
            operators
        );
    }
}
