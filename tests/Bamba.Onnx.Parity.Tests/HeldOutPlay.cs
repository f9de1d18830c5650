using System.Numerics.Tensors;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Testing;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Parity.Tests;

/// <summary>
/// The scores that an export of tiny-shakespeare gives the held-out play through ONNX Runtime: 16 windows of 512 tokens, each by
/// itself.
/// </summary>
internal sealed class HeldOutPlay
{
    private const int Windows = 16;
    private const int WindowTokens = 512;

    private static readonly long[] Tokens = ReadTokens();

    // Of each position, the logarithms of the probabilities of all tokens.
    private readonly List<float[]> scores = [];

    public HeldOutPlay(ExportOptions options)
    {
        string model = ExportedModels.Of(TestData.TinyShakespeare, options);
        using var graph = new InferenceSession(Path.Combine(model, ModelFiles.Graph(GraphProfile.Portable)));
        double nats = 0;
        for (int window = 0; window < Windows; window++)
        {
            foreach (float[] logits in Logits(graph, Tokens.AsSpan(window * WindowTokens, WindowTokens)))
            {
                TensorPrimitives.Subtract(logits, (float)LogSumExp(logits), logits);
                scores.Add(logits);
                nats -= logits[(int)Tokens[scores.Count]];
            }
        }
        Perplexity = Math.Exp(nats / scores.Count);
    }

    /// <summary>The exponential of the mean of minus the log probability of each next token.</summary>
    public double Perplexity { get; }

    /// <summary>Kullback and Leibler's divergence of these probabilities from another model's, the mean over positions, nats.</summary>
    public double DivergenceFrom(HeldOutPlay other)
    {
        double sum = 0;
        for (int position = 0; position < scores.Count; position++)
        {
            (float[] expected, float[] found) = (other.scores[position], scores[position]);
            for (int token = 0; token < expected.Length; token++)
            {
                sum += Math.Exp(expected[token]) * (expected[token] - found[token]);
            }
        }
        return sum / scores.Count;
    }

    private static long[] ReadTokens()
    {
        using var data = ReferenceData.OfTinyShakespeare();
        return data.Longs("validation.tokens");
    }

    /// <summary>The logits at every position.</summary>
    private static List<float[]> Logits(InferenceSession graph, ReadOnlySpan<long> tokens)
    {
        int length = tokens.Length;
        var inputs = new Dictionary<string, OrtValue>
        {
            [TensorNames.InputIds] = OrtValue.CreateTensorValueFromMemory(tokens.ToArray(), [1, length]),
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
        var rows = new List<float[]>();
        for (int t = 0; t < length; t++)
        {
            rows.Add(logits.Slice(t * vocab, vocab).ToArray());
        }
        foreach (OrtValue value in inputs.Values)
        {
            value.Dispose();
        }
        return rows;
    }

    private static double LogSumExp(ReadOnlySpan<float> values)
    {
        double max = TensorPrimitives.Max(values);
        double sum = 0;
        foreach (float value in values)
        {
            sum += Math.Exp(value - max);
        }
        return max + Math.Log(sum);
    }
}
