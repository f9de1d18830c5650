using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Exporter.Tests.Modules;
using Bamba.Onnx.Testing;
using Microsoft.ML.OnnxRuntime;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Lowering;

/// <summary>Projections with biases, which no reference checkpoint has: the graph against the modules.</summary>
public sealed class BiasTests
{
    private static readonly long[] Tokens = [5, 17, 3, 99, 42, 8, 61, 12, 30];

    [Theory]
    [InlineData("base")]
    [InlineData("bamba-9b-heads")]
    public void Each_projection_of_a_product_gets_its_own_bias(string name)
    {
        using var folder = new TemporaryFolder();
        AddBiases(TestData.Case(name), folder.Path);
        using var scope = NewDisposeScope();
        using IDisposable noGradients = no_grad();
        using BambaForCausalLM module = ReferenceCase.LoadModel(folder.Path);
        module.eval();
        Tensor expected = module.call(new() { InputIds = tensor(Tokens, [1, Tokens.Length]) }).Logits;
        using BambaForCausalLM without = ReferenceCase.LoadModel(TestData.Case(name));
        without.eval();
        Tensor unbiased = without.call(new() { InputIds = tensor(Tokens, [1, Tokens.Length]) }).Logits;
        Assert.True(Close.Distance(expected, unbiased) > 0.1);

        BambaExporter.Export(folder.Path, folder["model"], new ExportOptions());
        float[] logits = Run(Path.Combine(folder["model"], ModelFiles.Graph(GraphProfile.Portable)));

        Close.To(expected, tensor(logits, expected.shape));
    }

    /// <summary>Copies a checkpoint without biases, and gives each linear layer of attention and MLPs a random one.</summary>
    private static void AddBiases(string source, string target)
    {
        JsonObject config = JsonNode.Parse(File.ReadAllText(Path.Combine(source, ModelFiles.Config)))!.AsObject();
        config["attention_bias"] = true;
        config["mlp_bias"] = true;
        File.WriteAllText(Path.Combine(target, ModelFiles.Config), config.ToJsonString());
        using CheckpointFolder checkpoint = CheckpointFolder.Open(source);
        BambaConfig biased = BambaConfig.Load(Path.Combine(target, ModelFiles.Config));
        IReadOnlyDictionary<string, ImmutableArray<long>> tensors = BambaTensors.Of(biased);
        using SafetensorsWriter writer = SafetensorsWriter.Create(
            Path.Combine(target, ModelFiles.Checkpoint),
            tensors.Select(tensor => (tensor.Key, ElementType.Float32, tensor.Value))
        );
        var random = new Random(5);
        foreach (SafetensorsTensor tensor in writer.Tensors)
        {
            byte[] bytes = new byte[tensor.Bytes];
            if (checkpoint.Tensors.ContainsKey(tensor.Name))
            {
                checkpoint.Read(tensor.Name, 0, bytes);
            }
            else
            {
                foreach (ref float value in MemoryMarshal.Cast<byte, float>(bytes.AsSpan()))
                {
                    value = random.NextSingle() - 0.5f;
                }
            }
            writer.Write(tensor, 0, bytes);
        }
    }

    /// <summary>Logits of every token, from empty caches.</summary>
    private static float[] Run(string graph)
    {
        using var session = new InferenceSession(graph);
        Dictionary<string, OrtValue> inputs = session.InputMetadata.ToDictionary(
            input => input.Key,
            input =>
                OrtValue.CreateAllocatedTensorValue(
                    OrtAllocator.DefaultInstance,
                    input.Value.ElementDataType,
                    // One row; keys and values start empty.
                    [
                        .. input.Value.Dimensions.Select(
                            (size, axis) =>
                                size >= 0 ? size
                                : axis == 0 ? 1L
                                : 0L
                        ),
                    ]
                )
        );
        foreach ((string name, OrtValue empty) in inputs)
        {
            empty.GetTensorMutableRawData().Clear();
        }
        inputs[TensorNames.InputIds] = OrtValue.CreateTensorValueFromMemory(Tokens, [1, Tokens.Length]);
        inputs[TensorNames.AttentionMask] = OrtValue.CreateTensorValueFromMemory(
            Enumerable.Repeat(1L, Tokens.Length).ToArray(),
            [1, Tokens.Length]
        );
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(options, inputs, [TensorNames.Logits]);
        float[] logits = outputs[0].GetTensorDataAsSpan<float>().ToArray();
        foreach (OrtValue value in inputs.Values)
        {
            value.Dispose();
        }
        return logits;
    }
}
