using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Testing;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Parity.Tests;

/// <summary>Perplexity of tiny-shakespeare on the held-out play through ONNX Runtime: 16 windows of 512 tokens, each scored alone.</summary>
public sealed class PerplexityTests
{
    private const int Windows = 16;
    private const int WindowTokens = 512;

    private static readonly Lazy<double> Float32 = new(() => Perplexity(new ExportOptions()));

    [Fact]
    public void Float32_has_the_perplexity_that_Hugging_Face_measures() => Assert.InRange(Float32.Value, 45.90, 45.94);

    [Fact]
    public void Float16_is_within_half_a_percent() =>
        Assert.InRange(Perplexity(new ExportOptions { Dtype = ElementType.Float16 }) / Float32.Value, 0.995, 1.005);

    [Theory]
    [InlineData(32)]
    [InlineData(128)]
    public void Int8_is_within_three_thousandths(int groupSize) =>
        Assert.InRange(Int8(groupSize) / Float32.Value, 0.997, 1.003);

    private static double Int8(int groupSize) =>
        Perplexity(
            new ExportOptions
            {
                Quantization = QuantizationOptions.Of(new WeightQuantization { Bits = 8, GroupSize = groupSize }),
            }
        );

    private static double Perplexity(ExportOptions options)
    {
        string model = ExportedModels.Of(TestData.TinyShakespeare, options);
        using var data = ReferenceData.OfTinyShakespeare();
        long[] tokens = data.Longs("validation.tokens");
        using var graph = new InferenceSession(Path.Combine(model, ModelFiles.Graph(GraphProfile.Portable)));
        double nats = 0;
        for (int window = 0; window < Windows; window++)
        {
            nats += Nats(graph, tokens.AsSpan(window * WindowTokens, WindowTokens + 1));
        }
        return Math.Exp(nats / (Windows * WindowTokens));
    }

    /// <summary>Minus the log probability of tokens 1 … n given those before them.</summary>
    private static double Nats(InferenceSession graph, ReadOnlySpan<long> tokens)
    {
        int length = tokens.Length - 1;
        var inputs = new Dictionary<string, OrtValue>
        {
            [TensorNames.InputIds] = OrtValue.CreateTensorValueFromMemory(tokens[..length].ToArray(), [1, length]),
            [TensorNames.AttentionMask] = OrtValue.CreateTensorValueFromMemory(
                Enumerable.Repeat(1L, length).ToArray(),
                [1, length]
            ),
        };
        foreach (
            (string name, NodeMetadata metadata) in graph.InputMetadata.Where(input => !inputs.ContainsKey(input.Key))
        )
        {
            // The batch is one row, and keys and values start empty.
            long[] shape =
            [
                .. metadata.Dimensions.Select(
                    (size, axis) =>
                        size >= 0 ? size
                        : axis == 0 ? 1L
                        : 0L
                ),
            ];
            inputs[name] = OrtValue.CreateAllocatedTensorValue(
                OrtAllocator.DefaultInstance,
                metadata.ElementDataType,
                shape
            );
            inputs[name].GetTensorMutableRawData().Clear();
        }
        using var options = new RunOptions();
        using IDisposableReadOnlyCollection<OrtValue> outputs = graph.Run(options, inputs, [TensorNames.Logits]);
        ReadOnlySpan<float> logits = outputs[0].GetTensorDataAsSpan<float>();
        int vocab = logits.Length / length;
        double nats = 0;
        for (int t = 0; t < length; t++)
        {
            nats += LogSumExp(logits.Slice(t * vocab, vocab)) - logits[(t * vocab) + (int)tokens[t + 1]];
        }
        foreach (OrtValue value in inputs.Values)
        {
            value.Dispose();
        }
        return nats;
    }

    private static double LogSumExp(ReadOnlySpan<float> values)
    {
        double max = System.Numerics.Tensors.TensorPrimitives.Max(values);
        double sum = 0;
        foreach (float value in values)
        {
            sum += Math.Exp(value - max);
        }
        return max + Math.Log(sum);
    }
}
