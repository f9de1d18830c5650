using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;
using Bamba.Onnx.Testing;
using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Native.Tests;

/// <summary>
/// A model of a single <see cref="Mamba2ChunkScanOp"/> node without a function body, so that only the native library computes it.
/// Its inputs have the types and ranks of a call's, but no sizes: what is wrong with those, the kernel finds out.
/// </summary>
internal sealed class OneNodeGraph : IDisposable
{
    private readonly InferenceSession session;

    /// <summary>Loads the model for a call.</summary>
    /// <param name="call">The call.</param>
    /// <param name="allNames">Whether optional inputs that the call leaves out have an empty name at the end of the node's list.</param>
    public OneNodeGraph(ScanCall call, bool allNames = false)
    {
        using var options = new SessionOptions { LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_FATAL };
        options.RegisterCustomOpLibrary(NativeBuild.Library);
        session = new InferenceSession(Build(call, allNames), options);
    }

    /// <summary>Loads the model for a call and runs it.</summary>
    public static ScanResult RunOnce(ScanCall call, bool allNames = false, bool inPlace = false)
    {
        using var graph = new OneNodeGraph(call, allNames);
        return graph.Run(call, inPlace);
    }

    /// <summary>Runs the node; with <paramref name="inPlace"/>, past and present states are the same buffers.</summary>
    public ScanResult Run(ScanCall call, bool inPlace = false)
    {
        Dictionary<string, OrtValue> inputs = call.Inputs.ToDictionary(i => i.Key, i => i.Value.ToOrtValue());
        using OrtIoBinding binding = session.CreateIoBinding();
        foreach ((string name, OrtValue value) in inputs)
        {
            binding.BindInput(name, value);
        }
        foreach (string output in Mamba2ChunkScanOp.Outputs)
        {
            string past = output.Replace("present", "past", StringComparison.Ordinal);
            if (inPlace && past != output)
            {
                binding.BindOutput(output, inputs[past]);
            }
            else
            {
                binding.BindOutputToDevice(output, OrtMemoryInfo.DefaultInstance);
            }
        }
        try
        {
            using var runOptions = new RunOptions();
            using IDisposableReadOnlyCollection<OrtValue> outputs = session.RunWithBoundResults(runOptions, binding);
            return new ScanResult(Operand.Of(outputs[0]), Operand.Of(outputs[1]), Operand.Of(outputs[2]));
        }
        finally
        {
            foreach (OrtValue value in inputs.Values)
            {
                value.Dispose();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => session.Dispose();

    private static byte[] Build(ScanCall call, bool allNames)
    {
        var node = new NodeProto { OpType = Mamba2ChunkScanOp.Name, Domain = Mamba2ChunkScanOp.Domain };
        node.Input.AddRange(Mamba2ChunkScanOp.Inputs.Select(name => call.Inputs.ContainsKey(name) ? name : ""));
        while (!allNames && node.Input[^1].Length == 0)
        {
            node.Input.RemoveAt(node.Input.Count - 1);
        }
        node.Output.AddRange(Mamba2ChunkScanOp.Outputs);
        node.Attribute.AddRange(call.Attributes.Values.Select(attribute => attribute.Proto));

        ElementType type = call.Inputs.TryGetValue("zxbcdt", out Operand? tokens) ? tokens.Type : ElementType.Float32;
        return NodeModel
            .Of([node], call.Inputs.Select(InputInfo), Mamba2ChunkScanOp.Outputs.Select(name => OutputInfo(name, type)))
            .ToByteArray();
    }

    private static ValueInfoProto InputInfo(KeyValuePair<string, Operand> input)
    {
        Axis[] axes = [.. input.Value.Shape.Select((_, i) => (Axis)$"{input.Key}_{i}")];
        return TensorTypes.ValueInfo(input.Key, input.Value.Type.ToOnnx(), axes);
    }

    // Without axes, which would have to agree with what the node says of wrong ranks.
    private static ValueInfoProto OutputInfo(string name, ElementType type)
    {
        ElementType own = name == Mamba2ChunkScanOp.Outputs[2] ? ElementType.Float32 : type;
        ValueInfoProto output = TensorTypes.ValueInfo(name, own.ToOnnx(), []);
        output.Type.TensorType.Shape = null;
        return output;
    }
}

/// <summary>Outputs of one call.</summary>
internal sealed record ScanResult(Operand Y, Operand ConvState, Operand RecurrentState);
