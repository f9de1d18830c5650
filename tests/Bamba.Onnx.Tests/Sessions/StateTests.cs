using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.State;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Sessions;

/// <summary>Snapshot, restore, fork and reorder against sessions that never branched.</summary>
public sealed class StateTests
{
    private static readonly int[] Detour = [3, 1, 4, 1, 5];

    private const int Continuation = 12;

    /// <summary>Every prompt that the reference continues: its checkpoint and its name in the reference data.</summary>
    public static TheoryData<string, string> Prompts
    {
        get
        {
            var prompts = new TheoryData<string, string>();
            foreach (string checkpoint in TestData.CaseNames.Select(TestData.Case).Append(TestData.TinyShakespeare))
            {
                using SafetensorsValues data = ReferenceData.Of(checkpoint);
                foreach (string key in data.Names.Where(key => key.EndsWith(".tokens", StringComparison.Ordinal)))
                {
                    string prompt = key[..^".tokens".Length];
                    if (prompt is not "padded" and not "validation")
                    {
                        prompts.Add(Path.GetRelativePath(TestData.Root, checkpoint), prompt);
                    }
                }
            }
            return prompts;
        }
    }

    private static int[] FirstRow(SafetensorsValues data, string key) =>
        [.. data.Longs(key).Take((int)data.Shape(key)[^1]).Select(id => (int)id)];

    private static float[][] Continue(BambaSession session, ReadOnlySpan<int> tokens, int row = 0)
    {
        var logits = new List<float[]>();
        int[] next = new int[session.BatchSize];
        next.AsSpan().Fill(BambaSession.NoToken);
        foreach (int token in tokens)
        {
            next[row] = token;
            logits.Add(session.Decode(next).Row(row).ToArray());
        }
        return [.. logits];
    }

    [Theory]
    [MemberData(nameof(Prompts))]
    public void A_branch_at_every_cut_continues_as_if_there_had_been_none(string checkpoint, string prompt)
    {
        checkpoint = Path.Combine(TestData.Root, checkpoint);
        using SafetensorsValues data = ReferenceData.Of(checkpoint);
        int[] start = FirstRow(data, $"{prompt}.input_ids");
        int[] sequence = [.. start, .. FirstRow(data, $"{prompt}.tokens")];
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(checkpoint));
        int context = sequence.Length + Detour.Length;
        using BambaSession straight = runtime.CreateSession(contextLength: context);
        using BambaSession branching = runtime.CreateSession(contextLength: context);
        using BambaSession beams = runtime.CreateSession(batchSize: 3, contextLength: context);
        float[][] expected = Continue(straight, sequence);
        for (int cut = 1; cut <= start.Length; cut++)
        {
            ReadOnlySpan<int> rest = sequence.AsSpan(cut, Math.Min(Continuation, sequence.Length - cut));
            float[][] continued = expected[cut..(cut + rest.Length)];
            Continue(branching, sequence.AsSpan(cut - 1, 1));
            BambaStateSnapshot snapshot = branching.Snapshot();
            using BambaSession fork = branching.Fork(cut + rest.Length);
            Assert.Equal(expected[cut - 1], fork.Logits.Row(0).ToArray());
            Assert.Equal(continued, Continue(fork, rest));

            Continue(branching, Detour);
            Assert.Equal(expected[cut - 1], branching.Restore(snapshot).Row(0).ToArray());
            Assert.Equal(sequence.AsSpan(0, cut), branching.Tokens(0));
            Assert.Equal(continued, Continue(branching, rest));
            branching.Restore(snapshot);

            // Rows of another batch size are other kernels' work, so that they are held to themselves, not to a single row.
            float[][] alone = Branch(beams, snapshot, rest, reorder: false);
            Assert.Equal(alone, Branch(beams, snapshot, rest, reorder: true));
        }
    }

    /// <summary>Row 1 goes on, the others stray; reordering brings them back to what row 1 was.</summary>
    private static float[][] Branch(
        BambaSession beams,
        BambaStateSnapshot snapshot,
        ReadOnlySpan<int> rest,
        bool reorder
    )
    {
        beams.Restore(snapshot, 0, 0, 0);
        if (!reorder)
        {
            return Continue(beams, rest, row: 2);
        }
        Continue(beams, Detour, row: 0);
        float[][] strayed = Continue(beams, Detour.AsSpan(0, 2), row: 2);
        Logits logits = beams.Reorder(1, 2, 1);
        Assert.Equal(strayed[^1], logits.Row(1).ToArray());
        Assert.Equal(snapshot.Length(0) + 2, beams.Length(1));
        Assert.Equal(snapshot.Length(0), beams.Length(2));
        return Continue(beams, rest, row: 2);
    }

    [Fact]
    public async Task A_saved_snapshot_loads_in_another_runtime()
    {
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.Case("base")));
        using BambaSession session = runtime.CreateSession(contextLength: 16);
        session.Prefill(Detour);
        using var file = new MemoryStream();
        await session.Snapshot().SaveAsync(file, TestContext.Current.CancellationToken);
        file.Position = 0;
        using BambaRuntime other = BambaRuntime.Load(ExportedModels.Of(TestData.Case("base")));
        using BambaSession restored = other.CreateSession(contextLength: 32);
        BambaStateSnapshot loaded = await BambaStateSnapshot.LoadAsync(file, TestContext.Current.CancellationToken);
        Assert.Equal(session.Logits.Row(0).ToArray(), restored.Restore(loaded).Row(0).ToArray());
        Assert.Equal(Continue(session, Detour), Continue(restored, Detour));
    }

    [Fact]
    public async Task Every_damage_of_a_saved_snapshot_is_found()
    {
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.Case("base")));
        using BambaSession session = runtime.CreateSession(contextLength: 16);
        session.Prefill(Detour);
        using var file = new MemoryStream();
        await session.Snapshot().SaveAsync(file, TestContext.Current.CancellationToken);
        byte[] whole = file.ToArray();
        for (int i = 0; i < whole.Length; i += Math.Max(1, whole.Length / 97))
        {
            byte[] damaged = [.. whole];
            damaged[i] ^= 0x11;
            await Refused(damaged);
            await Refused(whole[..i]);
        }

        static async Task Refused(byte[] bytes)
        {
            using var stream = new MemoryStream(bytes);
            await Assert.ThrowsAsync<BambaException>(() =>
                BambaStateSnapshot.LoadAsync(stream, TestContext.Current.CancellationToken)
            );
        }
    }

    [Fact]
    public void A_snapshot_of_another_model_or_of_too_many_tokens_is_refused()
    {
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.Case("base")));
        using BambaRuntime other = BambaRuntime.Load(ExportedModels.Of(TestData.Case("two-groups")));
        using BambaSession session = runtime.CreateSession(contextLength: 16);
        session.Prefill(Detour);
        BambaStateSnapshot snapshot = session.Snapshot();
        using BambaSession stranger = other.CreateSession(contextLength: 16);
        Assert.Contains("of this model", Assert.Throws<ArgumentException>(() => stranger.Restore(snapshot)).Message);
        using BambaSession small = runtime.CreateSession(contextLength: 4);
        Assert.Throws<ContextLengthException>(() => small.Restore(snapshot));
        Assert.Throws<ContextLengthException>(() => session.Fork(4));
        Assert.Contains(
            "expected 1 rows",
            Assert.Throws<ArgumentException>(() => session.Restore(snapshot, 0, 0)).Message
        );
        Assert.Contains(
            "rows from 0 to 0, found 1",
            Assert.Throws<ArgumentOutOfRangeException>(() => session.Restore(snapshot, 1)).Message
        );
        Assert.Equal(Detour, session.Tokens(0).ToArray());
    }

    [Fact]
    public void A_row_without_a_token_stays_as_it_is_even_when_it_is_full()
    {
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.Case("base")));
        using BambaSession session = runtime.CreateSession(batchSize: 2, contextLength: 8);
        session.Prefill([new[] { 1, 2, 3, 4, 5, 6, 7 }, new[] { 9 }]);
        RowSnapshot before = session.Snapshot().RowStates[0];
        for (int token = 10; token < 16; token++)
        {
            Logits logits = session.Decode(BambaSession.NoToken, token);
            Assert.Throws<InvalidOperationException>(() => logits.Row(0).ToArray());
        }
        session.Decode(8, BambaSession.NoToken);
        RowSnapshot full = session.Snapshot().RowStates[0];
        session.Decode(BambaSession.NoToken, 16);
        AssertSame(full, session.Snapshot().RowStates[0]);
        Assert.Equal((8, 8), (session.Length(0), session.Length(1)));

        session.Reset();
        session.Prefill([new[] { 1, 2, 3, 4, 5, 6, 7 }, new[] { 9 }]);
        AssertSame(before, session.Snapshot().RowStates[0]);
        Assert.Throws<ArgumentException>(() => session.Decode(BambaSession.NoToken, BambaSession.NoToken));
    }

    private static void AssertSame(RowSnapshot expected, RowSnapshot found)
    {
        Assert.Equal(expected.Tokens, found.Tokens);
        Assert.Equal(expected.Caches.Length, found.Caches.Length);
        for (int i = 0; i < expected.Caches.Length; i++)
        {
            Assert.Equal(expected.Caches[i], found.Caches[i]);
        }
    }

    [Fact]
    public void State_bytes_are_known_before_a_session_is_opened()
    {
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.Case("base")));
        using BambaSession session = runtime.CreateSession(batchSize: 3, contextLength: 40);
        Assert.Equal(session.StateBytes, runtime.StateBytes(3, 40));
        int attention = runtime.Config.Layers.Count(layer => layer == LayerKind.Attention);
        long aToken = attention * 2L * runtime.Config.NumKeyValueHeads * runtime.Config.HeadDim * sizeof(float);
        Assert.Equal(3 * 10 * aToken, runtime.StateBytes(3, 50) - runtime.StateBytes(3, 40));
    }
}
