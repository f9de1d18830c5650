using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using static Bamba.Onnx.Graph.Proto.TensorProto.Types;

namespace Bamba.Onnx.Exporter.Tests.Lowering;

/// <summary>A model of a single <c>Mamba2ChunkScan</c> node with its function body, run on ONNX Runtime.</summary>
internal sealed class Mamba2OpModel : IDisposable
{
    private readonly InferenceSession session;

    public Mamba2OpModel(Mamba2ChunkScanShape shape, SessionOptions? options = null, bool writersFirst = false)
    {
        session = new InferenceSession(Build(shape, writersFirst), options ?? new SessionOptions());
    }

    /// <summary>Runs the node; with <paramref name="inPlace"/>, past and present states are the same buffers.</summary>
    public Mamba2Result Run(Mamba2Case call, bool inPlace)
    {
        Mamba2ChunkScanShape s = call.Shape;
        long[] convShape = [call.Batch, s.ConvDim, s.ConvKernel - 1];
        long[] stateShape = [call.Batch, s.NumHeads, s.HeadDim, s.StateSize];
        float[] pastConv = (float[])call.PastConvState.Clone();
        float[] pastState = (float[])call.PastRecurrentState.Clone();
        float[] conv = inPlace ? pastConv : new float[pastConv.Length];
        float[] state = inPlace ? pastState : new float[pastState.Length];
        var y = new float[call.Batch * call.Length * s.InnerSize];

        var values = new List<OrtValue>();
        using OrtIoBinding binding = session.CreateIoBinding();
        Input("zxbcdt", call.Zxbcdt, [call.Batch, call.Length, call.Channels]);
        Input("conv_weight", call.ConvWeight, [s.ConvDim, s.ConvKernel]);
        Input("conv_bias", call.ConvBias, [s.ConvDim]);
        Input("A_log", call.ALog, [s.NumHeads]);
        Input("D", call.D, [s.NumHeads]);
        Input("dt_bias", call.DtBias, [s.NumHeads]);
        Input("norm_weight", call.NormWeight, [s.InnerSize]);
        OrtValue pastConvValue = Input("past_conv_state", pastConv, convShape);
        OrtValue pastStateValue = Input("past_recurrent_state", pastState, stateShape);
        Input("seq_lens", call.SeqLens, [call.Batch]);
        binding.BindOutput("y", Value(y, [call.Batch, call.Length, s.InnerSize]));
        binding.BindOutput("present_conv_state", inPlace ? pastConvValue : Value(conv, convShape));
        binding.BindOutput("present_recurrent_state", inPlace ? pastStateValue : Value(state, stateShape));
        using var runOptions = new RunOptions();
        session.RunWithBinding(runOptions, binding);
        values.ForEach(value => value.Dispose());
        return new Mamba2Result(y, conv, state);

        OrtValue Input<T>(string name, T[] data, long[] shape)
            where T : unmanaged
        {
            OrtValue value = Value(data, shape);
            binding.BindInput(name, value);
            return value;
        }

        OrtValue Value<T>(T[] data, long[] shape)
            where T : unmanaged
        {
            OrtValue value = OrtValue.CreateTensorValueFromMemory(data, shape);
            values.Add(value);
            return value;
        }
    }

    public void Dispose() => session.Dispose();

    private static byte[] Build(Mamba2ChunkScanShape shape, bool writersFirst)
    {
        FunctionProto function = Mamba2ChunkScanFunction.Build(shape);
        if (writersFirst)
        {
            MoveStateWritersForward(function);
        }
        var inputs = new List<ValueInfoProto>();
        var outputs = new List<ValueInfoProto>();
        var node = new NodeProto { OpType = Mamba2ChunkScanOp.Name, Domain = Mamba2ChunkScanOp.Domain };
        foreach (string input in Mamba2ChunkScanOp.Inputs.Take(Mamba2ChunkScanOp.PaddedInputCount))
        {
            DataType type = input == "seq_lens" ? DataType.Int32 : DataType.Float;
            int rank = input switch
            {
                "past_recurrent_state" => 4,
                "zxbcdt" or "past_conv_state" => 3,
                "conv_weight" => 2,
                _ => 1,
            };
            Axis[] axes = [.. Enumerable.Range(0, rank).Select(i => (Axis)$"{input}_{i}")];
            inputs.Add(TensorTypes.ValueInfo(input, type, axes));
            node.Input.Add(input);
        }
        foreach (string output in Mamba2ChunkScanOp.Outputs)
        {
            Axis[] axes =
            [
                .. Enumerable.Range(0, output == "present_recurrent_state" ? 4 : 3).Select(i => (Axis)$"{output}_{i}"),
            ];
            outputs.Add(TensorTypes.ValueInfo(output, DataType.Float, axes));
            node.Output.Add(output);
        }
        node.Attribute.AddRange(shape.Attributes().Select(attribute => attribute.Proto));
        return NodeModel.Of([node], inputs, outputs, function).ToByteArray();
    }

    /// <summary>Puts the nodes that make the next state as early in the chunk's body as their inputs allow.</summary>
    private static void MoveStateWritersForward(FunctionProto function)
    {
        NodeProto scan = function.Node.Single(node => node.OpType == "Scan");
        GraphProto body = scan.Attribute.Single(a => a.Name == "body").G;
        var producer = body.Node.SelectMany(n => n.Output.Select(o => (o, n))).ToDictionary(p => p.o, p => p.n);
        var ordered = new List<NodeProto>();
        Visit("next_state");
        foreach (NodeProto node in body.Node.Where(n => !ordered.Contains(n)).ToList())
        {
            ordered.Add(node);
        }
        body.Node.Clear();
        body.Node.AddRange(ordered);

        void Visit(string name)
        {
            if (producer.TryGetValue(name, out NodeProto? node) && !ordered.Contains(node))
            {
                foreach (string input in node.Input)
                {
                    Visit(input);
                }
                ordered.Add(node);
            }
        }
    }
}
