using System.Numerics.Tensors;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.State;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cuda.Tests;

/// <summary>What sessions do with state that lies on a device, in float16, where steps are replayed.</summary>
[Collection(CudaMachine.Name)]
public sealed class CudaSessionTests
{
    private const string Prompt = "To be, or not to be: that is the question";

    // Two places of float16 at the size of the scores. Two sessions of one runtime that run kernel by kernel differ by one.
    private const float LastPlaces = 1f / 64;

    [Fact]
    public void A_replayed_step_gives_token_for_token_what_kernels_one_by_one_give()
    {
        CudaMachine.Require();
        using BambaRuntime replaying = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        using BambaRuntime plain = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16, recordSteps: false);
        using BambaSession replayed = replaying.CreateSession();
        using BambaSession eager = plain.CreateSession();
        int[] prompt = plain.Tokenizer.Encode(Prompt);
        Logits expected = eager.Prefill(prompt);
        Logits actual = replayed.Prefill(prompt);
        for (int step = 0; step < 512; step++)
        {
            float[] differences = new float[expected.Row(0).Length];
            TensorPrimitives.Subtract(actual.Row(0), expected.Row(0), differences);
            Assert.InRange(TensorPrimitives.MaxMagnitude<float>(differences), -LastPlaces, LastPlaces);
            int token = TensorPrimitives.IndexOfMax(expected.Row(0));
            // Of two that are as good as equal, either may win.
            float lead = expected.Row(0)[token] - expected.Row(0)[TensorPrimitives.IndexOfMax(actual.Row(0))];
            Assert.InRange(lead, 0, LastPlaces);
            expected = eager.Decode(token);
            actual = replayed.Decode(token);
        }
        Assert.StartsWith("CUDA graph", replayed.StepMode);
        Assert.StartsWith("kernel by kernel", eager.StepMode);
    }

    [Fact]
    public void Forks_reordered_rows_and_restored_snapshots_go_on_as_their_source_would()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        int[] prompt = runtime.Tokenizer.Encode(Prompt);
        using BambaSession source = runtime.CreateSession(2);
        source.Prefill([prompt, prompt.AsMemory(0, 3)]);
        source.Decode(5, 9);
        source.Decode(6, 10);
        BambaStateSnapshot snapshot = source.Snapshot();
        using BambaSession fork = source.Fork(200);
        using BambaSession restored = runtime.CreateSession(2, 100);
        restored.Restore(snapshot);
        int[][] expected = Continue(source, 20);
        Assert.Equal(expected, Continue(fork, 20));
        Assert.Equal(expected, Continue(restored, 20));
        restored.Restore(snapshot);
        restored.Reorder(1, 0);
        Assert.Equal([expected[1], expected[0]], Continue(restored, 20));
        restored.Restore(snapshot);
        restored.Reorder(1, 1);
        Assert.Equal([expected[1], expected[1]], Continue(restored, 20));
    }

    [Fact]
    public async Task Sessions_on_two_threads_write_what_each_writes_alone()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        string[] prompts = [Prompt, "ROMEO:"];
        string[] alone = [await WriteAsync(runtime, prompts[0]), await WriteAsync(runtime, prompts[1])];
        for (int round = 0; round < 5; round++)
        {
            string[] together = await Task.WhenAll(
                prompts.Select(prompt => Task.Run(() => WriteAsync(runtime, prompt)))
            );
            Assert.Equal(alone, together);
        }
    }

    [Fact]
    public void A_cancelled_prefill_leaves_the_session_as_before_its_chunk()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        using BambaSession session = runtime.CreateSession();
        using BambaSession undisturbed = runtime.CreateSession();
        int[] prompt = runtime.Tokenizer.Encode(Prompt);
        session.Prefill(prompt);
        undisturbed.Prefill(prompt);
        int[] longer = [.. Enumerable.Range(0, 900).Select(i => i % runtime.Config.VocabSize)];
        int cancelled = 0;
        for (int milliseconds = 0; milliseconds < 6; milliseconds++)
        {
            using var cancellation = new CancellationTokenSource();
            cancellation.CancelAfter(milliseconds);
            using BambaSession fork = session.Fork();
            try
            {
                fork.Prefill(longer, cancellation.Token);
            }
            catch (OperationCanceledException)
            {
                cancelled++;
                Assert.Equal(session.Length(0), fork.Length(0));
                Assert.Equal(
                    Greedy(undisturbed.Fork(), 16, fresh: false),
                    Greedy(fork, 16, fresh: false, fork: session)
                );
            }
        }
        Assert.True(cancelled > 0, "no prefill was cancelled in time");
    }

    [Fact]
    public void Memory_of_the_device_returns_to_its_level_in_any_order_of_disposal()
    {
        CudaMachine.Require();
        Use(sessionFirst: true);
        long level = CudaMachine.UsedBytes();
        for (int round = 0; round < 4; round++)
        {
            Use(sessionFirst: round % 2 == 0);
        }
        // The driver hands memory out in pieces of 2 MiB, and keeps a few for itself.
        Assert.InRange(CudaMachine.UsedBytes(), 0, level + (16L << 20));

        static void Use(bool sessionFirst)
        {
            BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
            BambaSession session = runtime.CreateSession(2);
            session.Prefill([new[] { 1, 2, 3 }, new[] { 4, 5 }]);
            for (int step = 0; step < 4; step++)
            {
                session.Decode(6, 7);
            }
            (sessionFirst ? (IDisposable)session : runtime).Dispose();
            (sessionFirst ? (IDisposable)runtime : session).Dispose();
        }
    }

    [Fact]
    public void Sessions_give_back_all_that_they_took()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        Use();
        long level = CudaMachine.UsedBytes();
        for (int round = 0; round < 40; round++)
        {
            Use();
        }
        Assert.InRange(CudaMachine.UsedBytes(), 0, level + (16L << 20));

        void Use()
        {
            using BambaSession session = runtime.CreateSession(3);
            session.Prefill([new[] { 1, 2, 3 }, new[] { 4, 5 }, new[] { 6 }]);
            for (int step = 0; step < 4; step++)
            {
                session.Decode(6, 7, 8);
            }
        }
    }

    [Fact]
    public void A_session_that_the_device_has_no_room_for_is_an_error_and_nothing_else_changes()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        using BambaSession session = runtime.CreateSession();
        int[] expected = Greedy(session, 16);
        long level = CudaMachine.UsedBytes();
        long rowBytes = runtime.StateBytes(2) / 2;
        int rows = (int)Math.Min(int.MaxValue, (1L << 38) / rowBytes);
        Assert.Throws<BambaException>(() => runtime.CreateSession(rows));
        Assert.InRange(CudaMachine.UsedBytes(), 0, level + (16L << 20));
        Assert.Equal(expected, Greedy(session, 16));
    }

    [Fact]
    public void Too_little_memory_is_an_error_before_anything_is_loaded()
    {
        CudaMachine.Require();
        var options = new BambaRuntimeOptions { Provider = ExecutionProvider.Cuda, DeviceMemoryLimit = 1 << 20 };
        long level = CudaMachine.UsedBytes();
        var error = Assert.Throws<BambaException>(() =>
            BambaRuntime.Load(CudaMachine.Model(TestData.TinyShakespeare), options)
        );
        Assert.Contains("device memory", error.Message);
        Assert.InRange(CudaMachine.UsedBytes(), 0, level + (16L << 20));
    }

    [Fact]
    public void A_step_allocates_no_managed_memory()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        using BambaSession session = runtime.CreateSession();
        session.Prefill(runtime.Tokenizer.Encode(Prompt));
        for (int warm = 0; warm < 20; warm++)
        {
            session.Decode(TensorPrimitives.IndexOfMax(session.Logits.Row(0)));
        }
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int step = 0; step < 200; step++)
        {
            session.Decode(TensorPrimitives.IndexOfMax(session.Logits.Row(0)));
        }
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    private static async Task<string> WriteAsync(BambaRuntime runtime, string prompt)
    {
        var options = new GenerationOptions { MaxNewTokens = 60, Sampling = SamplingOptions.Greedy };
        return (await runtime.CompleteAsync(prompt, options)).Text;
    }

    private static int[] Greedy(BambaSession session, int count, bool fresh = true, BambaSession? fork = null)
    {
        Logits logits;
        if (fresh)
        {
            session.Reset();
            logits = session.Prefill(session.Runtime.Tokenizer.Encode(Prompt));
        }
        else
        {
            // A cancelled call left no scores: those of the session that it was forked from are the same.
            int first = TensorPrimitives.IndexOfMax((fork ?? session).Logits.Row(0));
            logits = session.Decode(first);
        }
        int[] tokens = new int[count];
        for (int i = 0; i < count; i++)
        {
            tokens[i] = TensorPrimitives.IndexOfMax(logits.Row(0));
            logits = session.Decode(tokens[i]);
        }
        return tokens;
    }

    private static int[][] Continue(BambaSession session, int count)
    {
        int[][] tokens = [.. Enumerable.Range(0, session.BatchSize).Select(_ => new int[count])];
        for (int i = 0; i < count; i++)
        {
            for (int row = 0; row < tokens.Length; row++)
            {
                tokens[row][i] = TensorPrimitives.IndexOfMax(session.Logits.Row(row));
            }
            session.Decode([.. tokens.Select(row => row[i])]);
        }
        return tokens;
    }
}
