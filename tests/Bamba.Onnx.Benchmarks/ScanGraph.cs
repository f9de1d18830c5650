using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Bamba.Onnx.Benchmarks;

/// <summary>A model of one layer's scan and nothing else, in a session of two threads, with random float32 inputs bound once.</summary>
internal sealed class ScanGraph : IDisposable
{
    private readonly InferenceSession session;
    private readonly List<OrtValue> values = [];
    private readonly List<OrtIoBinding> bindings = [];
    private readonly RunOptions runOptions = new();
    private int next;

    private ScanGraph(ModelProto model, SessionOptions options) =>
        session = new InferenceSession(model.ToByteArray(), options);

    /// <summary>One <c>bamba::Mamba2ChunkScan</c>.</summary>
    /// <param name="shape">Its sizes.</param>
    /// <param name="length">Tokens.</param>
    /// <param name="library">The native library; null for the function body.</param>
    /// <param name="states">Pairs of states in rotation, each updated in place.</param>
    public static ScanGraph OfOperator(Mamba2ChunkScanShape shape, int length, string? library, int states)
    {
        int projected = shape.InnerSize + shape.ConvDim + shape.NumHeads;
        TensorSpec[] inputs =
        [
            Floats(0, 1, length, projected),
            Floats(1, shape.ConvDim, shape.ConvKernel),
            Floats(2, shape.ConvDim),
            Floats(3, shape.NumHeads),
            Floats(4, shape.NumHeads),
            Floats(5, shape.NumHeads),
            Floats(6, shape.InnerSize),
            Floats(7, 1, shape.ConvDim, shape.ConvKernel - 1),
            Floats(8, 1, shape.NumHeads, shape.HeadDim, shape.StateSize),
            new(Mamba2ChunkScanOp.Inputs[9], ElementType.Int32, [1]),
        ];
        TensorSpec[] outputs =
        [
            new(Mamba2ChunkScanOp.Outputs[0], ElementType.Float32, [1, length, shape.InnerSize]),
            inputs[7] with
            {
                Name = Mamba2ChunkScanOp.Outputs[1],
            },
            inputs[8] with
            {
                Name = Mamba2ChunkScanOp.Outputs[2],
            },
        ];
        NodeProto node = Node(Mamba2ChunkScanOp.Domain, Mamba2ChunkScanOp.Name, inputs, outputs, shape.Attributes());
        ModelProto model = Model([node], inputs, outputs, Mamba2ChunkScanFunction.Build(shape));
        using SessionOptions options = Options(library);
        var graph = new ScanGraph(model, options);
        for (int i = 0; i < states; i++)
        {
            Dictionary<string, OrtValue> bound = inputs.ToDictionary(
                spec => spec.Name,
                spec => graph.Random(spec, length)
            );
            bound[outputs[0].Name] = graph.Random(outputs[0], length);
            bound[outputs[1].Name] = bound[inputs[7].Name];
            bound[outputs[2].Name] = bound[inputs[8].Name];
            graph.Bind(inputs, outputs, bound);
        }
        return graph;
    }

    /// <summary>
    /// ONNX Runtime's own operators for the same layer: <c>CausalConvWithState</c> and <c>LinearAttention</c>, whose inputs are
    /// taken to be there (dt's softplus, the decays, dt·x, B and C for each head), and with no skip, gate or norm.
    /// </summary>
    public static ScanGraph OfOnnxRuntime(Mamba2ChunkScanShape shape, int length)
    {
        int keys = shape.NumHeads * shape.StateSize;
        TensorSpec[] conv =
        [
            new("input", ElementType.Float32, [1, shape.ConvDim, length]),
            new("weight", ElementType.Float32, [shape.ConvDim, 1, shape.ConvKernel]),
            new("bias", ElementType.Float32, [shape.ConvDim]),
            new("past_conv", ElementType.Float32, [1, shape.ConvDim, shape.ConvKernel - 1]),
        ];
        TensorSpec[] attention =
        [
            new("query", ElementType.Float32, [1, length, keys]),
            new("key", ElementType.Float32, [1, length, keys]),
            new("value", ElementType.Float32, [1, length, shape.InnerSize]),
            new("past_state", ElementType.Float32, [1, shape.NumHeads, shape.StateSize, shape.HeadDim]),
            new("decay", ElementType.Float32, [1, length, shape.NumHeads]),
        ];
        TensorSpec[] convolved = [conv[0] with { Name = "convolved" }, conv[3] with { Name = "present_conv" }];
        TensorSpec[] attended = [attention[2] with { Name = "attended" }, attention[3] with { Name = "present_state" }];
        TensorSpec[] inputs = [.. conv, .. attention];
        TensorSpec[] outputs = [.. convolved, .. attended];
        NodeProto[] nodes =
        [
            Node("com.microsoft", "CausalConvWithState", conv, convolved, [NodeArgument.Text("activation", "silu")]),
            Node(
                "com.microsoft",
                "LinearAttention",
                attention,
                attended,
                [
                    NodeArgument.Text("update_rule", "gated"),
                    NodeArgument.Int("q_num_heads", shape.NumHeads),
                    NodeArgument.Int("kv_num_heads", shape.NumHeads),
                    NodeArgument.Float("scale", 1),
                ]
            ),
        ];
        ModelProto model = Model(nodes, inputs, outputs);
        using SessionOptions options = Options(null);
        var graph = new ScanGraph(model, options);
        Dictionary<string, OrtValue> bound = inputs
            .Concat(outputs)
            .ToDictionary(spec => spec.Name, spec => graph.Random(spec, length));
        graph.Bind(inputs, outputs, bound);
        return graph;
    }

    /// <summary>Runs on the next states.</summary>
    public void Run()
    {
        session.RunWithBinding(runOptions, bindings[next]);
        next = (next + 1) % bindings.Count;
    }

    public void Dispose()
    {
        bindings.ForEach(binding => binding.Dispose());
        values.ForEach(value => value.Dispose());
        runOptions.Dispose();
        session.Dispose();
    }

    private static TensorSpec Floats(int input, params Axis[] axes) =>
        new(Mamba2ChunkScanOp.Inputs[input], ElementType.Float32, [.. axes]);

    private static ModelProto Model(
        NodeProto[] nodes,
        TensorSpec[] inputs,
        TensorSpec[] outputs,
        params FunctionProto[] functions
    ) =>
        NodeModel.Of(nodes, inputs.Select(TensorTypes.ToValueInfo), outputs.Select(TensorTypes.ToValueInfo), functions);

    private static NodeProto Node(
        string domain,
        string op,
        TensorSpec[] inputs,
        TensorSpec[] outputs,
        NodeArgument[] attributes
    )
    {
        var node = new NodeProto { Domain = domain, OpType = op };
        node.Input.AddRange(inputs.Select(spec => spec.Name));
        node.Output.AddRange(outputs.Select(spec => spec.Name));
        node.Attribute.AddRange(attributes.Select(attribute => attribute.Proto));
        return node;
    }

    private static SessionOptions Options(string? library)
    {
        var options = new SessionOptions { IntraOpNumThreads = 2 };
        if (library is not null)
        {
            options.RegisterCustomOpLibrary(library);
        }
        return options;
    }

    private OrtValue Random(TensorSpec spec, int length)
    {
        long[] shape = [.. spec.Axes.Select(axis => axis.Size)];
        TensorElementType type = spec.Type == ElementType.Int32 ? TensorElementType.Int32 : TensorElementType.Float;
        OrtValue value = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, type, shape);
        values.Add(value);
        if (spec.Type == ElementType.Int32)
        {
            value.GetTensorMutableDataAsSpan<int>().Fill(length);
            return value;
        }
        var random = new Random(1);
        foreach (ref float element in value.GetTensorMutableDataAsSpan<float>())
        {
            // Decays have to be negative; all else may be.
            element = -random.NextSingle();
        }
        return value;
    }

    private void Bind(TensorSpec[] inputs, TensorSpec[] outputs, Dictionary<string, OrtValue> bound)
    {
        OrtIoBinding binding = session.CreateIoBinding();
        foreach (TensorSpec spec in inputs)
        {
            binding.BindInput(spec.Name, bound[spec.Name]);
        }
        foreach (TensorSpec spec in outputs)
        {
            binding.BindOutput(spec.Name, bound[spec.Name]);
        }
        bindings.Add(binding);
    }
}
