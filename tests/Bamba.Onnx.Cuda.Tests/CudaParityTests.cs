using System.Numerics.Tensors;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cuda.Tests;

/// <summary>Sessions on a device against what Hugging Face computes: prompts at once, then token by token.</summary>
[Collection(CudaMachine.Name)]
public sealed class CudaParityTests
{
    // Of logits of the random checkpoints up to 40.
    private const float LogitsLimit = 1e-4f;

    private static readonly string[] Prompts = ["greedy_long", "greedy_short", "greedy_one"];

    public static TheoryData<string, bool> Cases
    {
        get
        {
            var cases = new TheoryData<string, bool>();
            foreach (string name in TestData.CaseNames)
            {
                cases.Add(name, true);
                cases.Add(name, false);
            }
            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Greedy_tokens_and_scores_are_those_of_the_reference(string name, bool kernels)
    {
        CudaMachine.Require();
        using SafetensorsValues expected = ReferenceData.OfCase(name);
        using BambaRuntime runtime = CudaMachine.Load(TestData.Case(name), ops: kernels ? null : CustomOps.Off);
        using BambaSession session = runtime.CreateSession();
        Assert.All(Prompts, prompt => AssertContinues(session, expected, prompt));
        // Attention in float32 runs on the processor, as the step's mode says; without it a step is replayed.
        bool replays = kernels && name == "all-mamba";
        Assert.Equal(replays, session.StepMode!.StartsWith("CUDA graph", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Tiny_shakespeare_writes_what_it_writes_in_the_reference(bool kernels)
    {
        CudaMachine.Require();
        using SafetensorsValues expected = ReferenceData.OfTinyShakespeare();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ops: kernels ? null : CustomOps.Off);
        using BambaSession session = runtime.CreateSession();
        Assert.All(Enumerable.Range(0, 5), i => AssertContinues(session, expected, $"{i}"));
    }

    [Fact]
    public void Rows_of_a_batch_of_unequal_prompts_give_what_they_give_alone()
    {
        CudaMachine.Require();
        using SafetensorsValues expected = ReferenceData.OfTinyShakespeare();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare);
        using BambaSession session = runtime.CreateSession(5);
        int[][] prompts = [.. Enumerable.Range(0, 5).Select(i => Ids(expected, $"{i}.input_ids"))];
        int[][] tokens = [.. Enumerable.Range(0, 5).Select(i => Ids(expected, $"{i}.tokens"))];
        Logits logits = session.Prefill([.. prompts.Select(prompt => (ReadOnlyMemory<int>)prompt)]);
        for (int step = 0; step < tokens[0].Length; step++)
        {
            int[] chosen = [.. Enumerable.Range(0, 5).Select(row => TensorPrimitives.IndexOfMax(logits.Row(row)))];
            Assert.Equal(tokens.Select(row => row[step]), chosen);
            logits = session.Decode(chosen);
        }
    }

    private static void AssertContinues(BambaSession session, SafetensorsValues expected, string prompt)
    {
        session.Reset();
        int[] tokens = Ids(expected, $"{prompt}.tokens");
        float[] scores = expected.Floats($"{prompt}.step_logits");
        int vocab = session.Runtime.Config.VocabSize;
        Logits logits = session.Prefill(Ids(expected, $"{prompt}.input_ids"));
        for (int step = 0; step < tokens.Length; step++)
        {
            ReadOnlySpan<float> row = logits.Row(0);
            float worst = TensorPrimitives.Distance(row, scores.AsSpan(step * vocab, vocab));
            Assert.True(worst <= LogitsLimit * MathF.Sqrt(vocab), $"{prompt}, step {step}: off by {worst}");
            for (int i = 0; i < vocab; i++)
            {
                Assert.Equal(scores[(step * vocab) + i], row[i], LogitsLimit);
            }
            Assert.Equal(tokens[step], TensorPrimitives.IndexOfMax(row));
            if (step + 1 < tokens.Length)
            {
                logits = session.Decode(tokens[step]);
            }
        }
    }

    private static int[] Ids(SafetensorsValues expected, string name) =>
        [.. expected.Longs(name).Select(id => checked((int)id))];
}
