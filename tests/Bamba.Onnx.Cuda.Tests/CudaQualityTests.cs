using System.Numerics.Tensors;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cuda.Tests;

/// <summary>
/// 16-bit models on the held-out play, 16 windows of 512 tokens side by side and fed token by token: so every step is a replayed
/// one with kernels of the step.
/// </summary>
[Collection(CudaMachine.Name)]
public sealed class CudaQualityTests
{
    private const int Windows = 16;
    private const int WindowTokens = 512;

    private static readonly Lazy<Reading> Float32 = new(() => Read(ElementType.Float32));

    [Fact]
    public void Float32_has_the_perplexity_that_Hugging_Face_measures()
    {
        CudaMachine.Require();
        Assert.InRange(Float32.Value.Perplexity, 45.90, 45.94);
    }

    [Theory]
    [InlineData(ElementType.Float16, 0.99)]
    // The checkpoint itself is bfloat16; eight bits of a logit's fraction make ties that float32 does not have.
    [InlineData(ElementType.BFloat16, 0.96)]
    public void Sixteen_bits_choose_the_same_tokens_and_keep_the_perplexity(ElementType dtype, double agreement)
    {
        CudaMachine.Require();
        Reading found = Read(dtype);
        int same = found.Chosen.Zip(Float32.Value.Chosen).Count(pair => pair.First == pair.Second);
        Assert.InRange((double)same / found.Chosen.Length, agreement, 1);
        Assert.InRange(found.Perplexity / Float32.Value.Perplexity, 0.995, 1.005);
    }

    private static Reading Read(ElementType dtype)
    {
        using SafetensorsValues data = ReferenceData.OfTinyShakespeare();
        long[] tokens = data.Longs("validation.tokens");
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, dtype);
        using BambaSession session = runtime.CreateSession(Windows, WindowTokens);
        int[] chosen = new int[Windows * WindowTokens];
        int[] step = new int[Windows];
        double nats = 0;
        for (int t = 0; t < WindowTokens; t++)
        {
            for (int window = 0; window < Windows; window++)
            {
                step[window] = (int)tokens[(window * WindowTokens) + t];
            }
            Logits logits = session.Decode(step);
            for (int window = 0; window < Windows; window++)
            {
                ReadOnlySpan<float> scores = logits.Row(window);
                chosen[(window * WindowTokens) + t] = TensorPrimitives.IndexOfMax(scores);
                nats += LogSumExp(scores) - scores[(int)tokens[(window * WindowTokens) + t + 1]];
            }
        }
        return new Reading(Math.Exp(nats / chosen.Length), chosen);
    }

    private static double LogSumExp(ReadOnlySpan<float> scores)
    {
        float most = TensorPrimitives.Max(scores);
        double sum = 0;
        foreach (float score in scores)
        {
            sum += Math.Exp((double)score - most);
        }
        return most + Math.Log(sum);
    }

    /// <summary>What a model made of the play.</summary>
    private sealed record Reading(double Perplexity, int[] Chosen);
}
