using System.Diagnostics;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Sessions;

/// <summary>Threads, cancellation inside a run, and disposal while a call runs and in any order.</summary>
public sealed class ThreadRuleTests : IDisposable
{
    private static readonly int[] LongPrompt = [.. Enumerable.Range(0, 2000).Select(i => i % 1900)];

    private readonly BambaRuntime runtime = BambaRuntime.Load(
        ExportedModels.Of(TestData.TinyShakespeare),
        new BambaRuntimeOptions { PrefillChunk = LongPrompt.Length }
    );

    public void Dispose() => runtime.Dispose();

    [Fact]
    public async Task A_second_thread_in_a_session_is_refused_and_changes_nothing()
    {
        using BambaSession session = runtime.CreateSession(contextLength: LongPrompt.Length + 1);
        var rows = new WatchedRows(LongPrompt);
        Task<Logits> running = Task.Run(() => session.Prefill(rows), TestContext.Current.CancellationToken);
        await rows.WaitUntilReadAsync();
        InvalidOperationException error = Assert.Throws<InvalidOperationException>(session.Reset);
        Assert.Contains("one call of a session at a time", error.Message);
        rows.LetGo();
        float[] found = (await running).Row(0).ToArray();
        using BambaSession alone = runtime.CreateSession(contextLength: LongPrompt.Length);
        Assert.Equal(alone.Prefill(LongPrompt).Row(0).ToArray(), found);
    }

    [Fact]
    public void Cancellation_inside_a_run_brings_back_what_was_before()
    {
        using BambaSession session = runtime.CreateSession(contextLength: LongPrompt.Length + 8);
        using BambaSession undisturbed = runtime.CreateSession(contextLength: LongPrompt.Length + 8);
        int[] start = [5, 6, 7];
        session.Prefill(start);
        float[] expected = undisturbed.Prefill(start).Row(0).ToArray();
        long whole = Stopwatch.GetTimestamp();
        undisturbed.Prefill(LongPrompt);
        TimeSpan wholeTime = Stopwatch.GetElapsedTime(whole);

        using var cancellation = new CancellationTokenSource(wholeTime / 4);
        long cut = Stopwatch.GetTimestamp();
        OperationCanceledException error = Assert.ThrowsAny<OperationCanceledException>(() =>
            session.Prefill(LongPrompt, cancellation.Token)
        );
        Assert.True(Stopwatch.GetElapsedTime(cut) < wholeTime, "the run was one chunk, and it did not end early");
        Assert.Equal(cancellation.Token, error.CancellationToken);
        Assert.Equal(start, session.Tokens(0).ToArray());
        Assert.Throws<InvalidOperationException>(() => session.Logits.Row(0).ToArray());

        undisturbed.Reset();
        undisturbed.Prefill(start);
        Assert.Equal(undisturbed.Decode(9).Row(0).ToArray(), session.Decode(9).Row(0).ToArray());
        Assert.NotEqual(expected, session.Logits.Row(0).ToArray());
    }

    [Fact]
    public void A_token_cancelled_before_the_call_runs_nothing()
    {
        using BambaSession session = runtime.CreateSession(contextLength: 8);
        Assert.ThrowsAny<OperationCanceledException>(() => session.Prefill(new[] { 1 }, new CancellationToken(true)));
        Assert.Equal(0, session.Length(0));
    }

    [Fact]
    public async Task Disposal_during_a_prefill_ends_it_early_and_frees_the_session()
    {
        BambaSession session = runtime.CreateSession(contextLength: LongPrompt.Length);
        var rows = new WatchedRows(LongPrompt);
        Task running = Task.Run(() => session.Prefill(rows), TestContext.Current.CancellationToken);
        await rows.WaitUntilReadAsync();
        rows.LetGo();
        session.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => running);
        Assert.Throws<ObjectDisposedException>(() => session.Decode(1));
    }

    /// <summary>Rows that a call stops at when it reads them, so that it is certain to be inside the session.</summary>
    private sealed class WatchedRows(ReadOnlyMemory<int> row) : IReadOnlyList<ReadOnlyMemory<int>>
    {
        private readonly TaskCompletionSource read = new();
        private readonly TaskCompletionSource go = new();

        public int Count => 1;

        public ReadOnlyMemory<int> this[int index]
        {
            get
            {
                read.TrySetResult();
                go.Task.Wait();
                return row;
            }
        }

        public Task WaitUntilReadAsync() => read.Task;

        public void LetGo() => go.SetResult();

        public IEnumerator<ReadOnlyMemory<int>> GetEnumerator() => Enumerable.Repeat(row, 1).GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }

    [Fact]
    public void A_session_outlives_its_runtime()
    {
        BambaRuntime first = BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare));
        using BambaSession session = first.CreateSession(contextLength: 8);
        first.Dispose();
        first.Dispose();
        using BambaSession other = runtime.CreateSession(contextLength: 8);
        Assert.Equal(other.Prefill(new[] { 1, 2 }).Row(0).ToArray(), session.Prefill(new[] { 1, 2 }).Row(0).ToArray());
        Assert.Throws<ObjectDisposedException>(() => first.CreateSession());
        Assert.Throws<ObjectDisposedException>(() => session.Fork());
    }

    [Fact]
    public async Task Loading_can_be_cancelled()
    {
        string folder = ExportedModels.Of(TestData.TinyShakespeare);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            BambaRuntime.LoadAsync(folder, null, new CancellationToken(true))
        );
        using BambaRuntime loaded = await BambaRuntime.LoadAsync(folder, null, TestContext.Current.CancellationToken);
        Assert.Equal(runtime.Config.VocabSize, loaded.Config.VocabSize);
    }
}
