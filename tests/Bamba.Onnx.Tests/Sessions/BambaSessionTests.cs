using Bamba.Onnx.Exporter;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Sessions;

public sealed class BambaSessionTests
{
    private static readonly TokenSampler Greedy = new(SamplingOptions.Greedy);

    public static TheoryData<string> Cases => [.. TestData.CaseNames];

    private static BambaRuntime Load(string name, int prefillChunk = 512, ExportOptions? options = null) =>
        BambaRuntime.Load(
            ExportedModels.Of(TestData.Case(name), options),
            new BambaRuntimeOptions { PrefillChunk = prefillChunk }
        );

    private static int[] Prompt(SafetensorsValues data, string key, int row = 0)
    {
        long[] shape = data.Shape(key);
        return [.. data.Longs(key).Skip(row * (int)shape[^1]).Take((int)shape[^1]).Select(id => (int)id)];
    }

    private static int[] Continue(BambaSession session, Logits logits, int row, int count)
    {
        var tokens = new List<int>();
        for (int i = 0; i < count; i++)
        {
            tokens.Add(Greedy.Sample(logits.Row(row), (ulong)i));
            if (i + 1 < count)
            {
                logits = session.Decode(tokens[^1]);
            }
        }
        return [.. tokens];
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_session_writes_the_reference_tokens_whatever_the_prefill_chunk(string name)
    {
        using var data = ReferenceData.OfCase(name);
        int[] prompt = Prompt(data, "greedy_long.input_ids");
        int[] expected = Prompt(data, "greedy_long.tokens");
        foreach (int chunk in (int[])[1, 2, 7, 512])
        {
            using BambaRuntime runtime = Load(name, chunk);
            using BambaSession session = runtime.CreateSession(contextLength: 320);
            Assert.Equal(expected, Continue(session, session.Prefill(prompt), 0, expected.Length));
        }
    }

    [Theory]
    [InlineData("base", false)]
    [InlineData("base", true)]
    [InlineData("two-groups", false)]
    [InlineData("all-mamba", true)]
    public void Ragged_rows_continue_as_they_do_alone(string name, bool everyPosition)
    {
        using var data = ReferenceData.OfCase(name);
        long[] ids = data.Longs("padded.input_ids");
        long[] mask = data.Longs("padded.attention_mask");
        int width = (int)data.Shape("padded.input_ids")[1];
        ReadOnlyMemory<int>[] rows =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(row =>
                    (ReadOnlyMemory<int>)
                        Enumerable.Range(row * width, width).Where(i => mask[i] != 0).Select(i => (int)ids[i]).ToArray()
                ),
        ];
        // A chunk shorter than the prompts makes rows go one by one, which must not change anything.
        foreach (int chunk in (int[])[512, 3])
        {
            using BambaRuntime runtime = Load(name, chunk, everyPosition ? ExportedModels.AllLogits : null);
            using BambaSession session = runtime.CreateSession(batchSize: 3, contextLength: 64);
            Logits logits = session.Prefill(rows);
            int count = (int)data.Shape("padded.tokens")[1];
            for (int step = 0; step < count; step++)
            {
                int[] tokens = [.. Enumerable.Range(0, 3).Select(row => Greedy.Sample(logits.Row(row), (ulong)step))];
                Assert.Equal(Enumerable.Range(0, 3).Select(row => Prompt(data, "padded.tokens", row)[step]), tokens);
                if (step + 1 < count)
                {
                    logits = session.Decode(tokens);
                }
            }
            Assert.Equal(rows[1].Length + count - 1, session.Length(1));
        }
    }

    [Fact]
    public void Reset_makes_a_session_fresh()
    {
        using var data = ReferenceData.OfCase("base");
        int[] prompt = Prompt(data, "greedy_long.input_ids");
        using BambaRuntime runtime = Load("base");
        using BambaSession session = runtime.CreateSession(contextLength: 320);
        float[] first = session.Prefill(prompt).Row(0).ToArray();
        session.Decode(5);
        session.Reset();
        Assert.Equal(0, session.Length(0));
        Assert.Equal(first, session.Prefill(prompt).Row(0).ToArray());
    }

    [Fact]
    public void Logits_die_with_the_next_call()
    {
        using BambaRuntime runtime = Load("base");
        using BambaSession session = runtime.CreateSession(contextLength: 16);
        Logits first = session.Prefill(new[] { 5, 6 });
        session.Decode(7);
        Assert.Throws<InvalidOperationException>(() => first.Row(0).ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => session.Decode(7).Row(1).ToArray());
    }

    [Fact]
    public void Bad_tokens_are_refused_before_anything_changes()
    {
        using BambaRuntime runtime = Load("base");
        using BambaSession session = runtime.CreateSession(contextLength: 4);
        Assert.Contains(
            "found none",
            Assert.Throws<ArgumentException>(() => session.Prefill(Array.Empty<int>())).Message
        );
        Assert.Contains(
            "from 0 to 319, found 320",
            Assert.Throws<ArgumentOutOfRangeException>(() => session.Prefill(new[] { 320 })).Message
        );
        Assert.Contains("found -2", Assert.Throws<ArgumentOutOfRangeException>(() => session.Decode(-2)).Message);
        Assert.Contains("expected 1 rows", Assert.Throws<ArgumentException>(() => session.Decode(1, 2)).Message);
        session.Prefill(new[] { 1, 2, 3 });
        ContextLengthException error = Assert.Throws<ContextLengthException>(() => session.Prefill(new[] { 1, 2 }));
        Assert.Equal((5L, 4), (error.Tokens, error.ContextLength));
        Assert.Equal(3, session.Length(0));
        session.Decode(4);
        Assert.Throws<ContextLengthException>(() => session.Decode(5));
    }

    [Fact]
    public void A_session_cannot_be_longer_than_its_model()
    {
        using BambaRuntime runtime = Load("base");
        Assert.Throws<ArgumentOutOfRangeException>(() => runtime.CreateSession(contextLength: 4097));
        Assert.Throws<ArgumentOutOfRangeException>(() => runtime.CreateSession(batchSize: 0));
    }

    [Fact]
    public void A_disposed_session_says_so()
    {
        using BambaRuntime runtime = Load("base");
        BambaSession session = runtime.CreateSession(contextLength: 4);
        Logits logits = session.Prefill(new[] { 1 });
        session.Dispose();
        session.Dispose();
        Assert.Throws<ObjectDisposedException>(() => session.Decode(1));
        Assert.Throws<ObjectDisposedException>(() => logits.Row(0).ToArray());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(64)]
    [InlineData(512)]
    public void Prefill_in_chunks_gives_the_logits_of_the_whole(int chunk)
    {
        using var data = ReferenceData.OfTinyShakespeare();
        int[] prompt = [.. data.Longs("validation.tokens").Take(700).Select(id => (int)id)];
        float[] Last(int size)
        {
            using BambaRuntime runtime = BambaRuntime.Load(
                ExportedModels.Of(TestData.TinyShakespeare),
                new BambaRuntimeOptions { PrefillChunk = size }
            );
            using BambaSession session = runtime.CreateSession(contextLength: prompt.Length);
            return session.Prefill(prompt).Row(0).ToArray();
        }
        float[] whole = Last(prompt.Length);
        float[] chunked = Last(chunk);
        Assert.All(whole.Zip(chunked), pair => Assert.Equal(pair.First, pair.Second, 1e-4));
    }
}
