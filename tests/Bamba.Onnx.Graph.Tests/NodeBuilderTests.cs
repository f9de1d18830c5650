using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Graph.Tests;

public sealed class NodeBuilderTests
{
    private static readonly BambaConfig Config = BambaConfig.Load(Path.Combine(TestData.Case("base"), "config.json"));

    private static ModelBuilder NewModel() =>
        new("test", ("test", "1"), GraphSignature.For(Config, GraphProfile.Runtime));

    [Fact]
    public void Nodes_are_named_after_their_scopes_and_each_once()
    {
        NodeBuilder g = NewModel().Nodes;
        Value outside = g.Neg(new Value("x"));
        using (g.Scope("model"))
        using (g.Scope("layers.3"))
        {
            Assert.Equal("/model/layers.3/Neg_output", g.Neg(outside).Name);
            Assert.Equal("/model/layers.3/Neg_2_output", g.Neg(outside).Name);
            using (g.RootScope("positions"))
            {
                Assert.Equal("/positions/Neg_output", g.Neg(outside).Name);
            }
        }
        Assert.Equal("/Neg_output", outside.Name);
        Assert.Equal("/Neg_2_output", g.Neg(outside).Name);
    }

    [Fact]
    public void Equal_constants_are_made_once_and_serve_subgraphs_too()
    {
        ModelBuilder model = NewModel();
        NodeBuilder g = model.Nodes;
        Assert.Equal(g.Ints(1, 2), g.Ints(1, 2));
        Assert.NotEqual(g.Ints(1), g.Int(1));
        Value inner = Value.None;
        GraphProto body = g.Subgraph("body", (_, inside) => inner = inside.Ints(1, 2));
        Assert.Equal(g.Ints(1, 2), inner);
        Assert.Empty(body.Node);
        Assert.Equal(3, model.Build().Graph.Node.Count(node => node.OpType == "Constant"));
    }

    [Fact]
    public void Functions_and_external_tensors_enter_a_model_once()
    {
        ModelBuilder model = NewModel();
        for (int i = 0; i < 2; i++)
        {
            model.Function("bamba", "F", () => new FunctionBuilder("bamba", "F", ["x"], ["y"]).Build());
            model.ExternalInitializer("w", ElementType.Float16, [2, 3], "w.data", 64, 12);
        }
        ModelProto built = model.Build();
        Assert.Single(built.Functions);
        TensorProto tensor = Assert.Single(built.Graph.Initializer);
        Assert.Equal([2L, 3L], tensor.Dims);
        Assert.Equal(
            ["location=w.data", "offset=64", "length=12"],
            tensor.ExternalData.Select(entry => $"{entry.Key}={entry.Value}")
        );
        Assert.Equal(["=21", "bamba=1"], built.OpsetImport.Select(import => $"{import.Domain}={import.Version}"));
    }

    [Fact]
    public void A_built_function_runs_on_ONNX_Runtime()
    {
        var function = new FunctionBuilder("bamba", "Twice", ["x"], ["y"]);
        function.Nodes.NodeInto("", "Mul", [new Value("x"), function.Nodes.Float(2)], [new Value("y")]);
        var model = new ModelProto
        {
            IrVersion = ModelBuilder.IrVersion,
            Graph = new GraphProto { Name = "g" },
        };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = StandardOps.Opset });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "bamba", Version = 1 });
        model.Functions.Add(function.Build());
        model.Graph.Input.Add(new TensorSpec("a", ElementType.Float32, ["n"]).ToValueInfo());
        model.Graph.Output.Add(new TensorSpec("b", ElementType.Float32, ["n"]).ToValueInfo());
        model.Graph.Node.Add(
            new NodeProto
            {
                OpType = "Twice",
                Domain = "bamba",
                Input = { "a" },
                Output = { "b" },
            }
        );

        using var session = new InferenceSession(model.ToByteArray());
        using OrtValue a = OrtValue.CreateTensorValueFromMemory(new[] { 1f, -3f }, [2]);
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> results = session.Run(options, ["a"], [a], ["b"]);
        Assert.Equal([2f, -6f], results[0].GetTensorDataAsSpan<float>().ToArray());
    }
}
