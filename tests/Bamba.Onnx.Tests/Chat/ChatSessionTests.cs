using Bamba.Onnx.Chat;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Chat;

public sealed class ChatSessionTests : IClassFixture<ChatSessionTests.Model>
{
    public sealed class Model : IDisposable
    {
        public BambaRuntime Runtime { get; } = BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare));

        public void Dispose() => Runtime.Dispose();
    }

    private const int AnswerTokens = 12;

    private static readonly GenerationOptions Greedy = new()
    {
        MaxNewTokens = AnswerTokens,
        Sampling = SamplingOptions.Greedy,
        LogProbabilities = 3,
    };

    private static readonly GenerationOptions Seeded = Greedy with
    {
        Sampling = new SamplingOptions { Temperature = 1, Seed = 7 },
    };

    private readonly BambaRuntime runtime;

    public ChatSessionTests(Model model) => runtime = model.Runtime;

    private static CancellationToken TestToken => TestContext.Current.CancellationToken;

    private static Task<List<GeneratedToken>> Ask(ChatSession chat, string text, GenerationOptions? options = null) =>
        Ask(chat, text, options ?? Greedy, _ => { });

    private static async Task<List<GeneratedToken>> Ask(
        ChatSession chat,
        string text,
        GenerationOptions options,
        Action<int> onCount,
        CancellationToken cancellationToken = default
    )
    {
        var tokens = new List<GeneratedToken>();
        await foreach (GeneratedToken token in chat.SendAsync(text, options, cancellationToken))
        {
            tokens.Add(token);
            onCount(tokens.Count);
        }
        return tokens;
    }

    /// <summary>What the model says to tokens that it takes all at once.</summary>
    private async Task<int[]> Continue(int[] tokens)
    {
        using BambaSession session = runtime.CreateSession();
        var ids = new List<int>();
        await foreach (GeneratedToken token in session.GenerateTokensAsync([tokens], Greedy, TestToken))
        {
            ids.Add(token.Id);
        }
        return [.. ids];
    }

    private static int[] Ids(IEnumerable<GeneratedToken> tokens) => [.. tokens.Select(token => token.Id)];

    private static string TextOf(IEnumerable<GeneratedToken> tokens) =>
        string.Concat(tokens.Select(token => token.Text));

    /// <summary>Bit for bit: ids, and log probabilities of each and its alternatives.</summary>
    private static void AssertSame(List<GeneratedToken> expected, List<GeneratedToken> found)
    {
        Assert.Equal(Ids(expected), Ids(found));
        for (int i = 0; i < expected.Count; i++)
        {
            Assert.Equal(expected[i].LogProbabilities!.Chosen, found[i].LogProbabilities!.Chosen);
            Assert.Equal(expected[i].LogProbabilities!.Alternatives, found[i].LogProbabilities!.Alternatives);
        }
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("llama3")]
    public async Task A_turn_gets_the_answer_that_the_whole_conversation_gets(string format)
    {
        var options = new ChatOptions { Format = ChatFormat.Named(format), SystemPrompt = "A play" };
        using var chat = new ChatSession(runtime, options);
        var prompt = new ChatPrompt(options.Format, runtime.Tokenizer);
        int[] all = prompt.First("A play", "ROMEO:");
        foreach (string next in (string[])["JULIET:", "Exeunt", ""])
        {
            string said =
                chat.History.Count == 0 ? "ROMEO:"
                : chat.History.Count == 1 ? "JULIET:"
                : "Exeunt";
            List<GeneratedToken> answer = await Ask(chat, said);
            Assert.Equal(await Continue(all), Ids(answer));
            Assert.Equal(new ChatTurn(said, TextOf(answer), FinishReason.MaxNewTokens), chat.History[^1]);
            all = [.. all, .. Ids(answer)];
            Assert.Equal(all.Length, chat.Length);
            all = [.. all, .. prompt.Next(TextOf(answer), next)];
        }
    }

    [Theory]
    [InlineData("<|eot_id|>")]
    [InlineData("<|end_of_text|>")]
    public async Task However_an_answer_ends_the_next_turn_finds_one_end_of_turn(string ending)
    {
        using var chat = new ChatSession(runtime);
        Assert.Equal("llama3", chat.Format.Name);
        int end = runtime.Tokenizer.TokenId(ending)!.Value;
        GenerationOptions ends = Greedy with
        {
            Sampling = new SamplingOptions
            {
                Temperature = 0,
                LogitBias = new Dictionary<int, float> { [end] = float.PositiveInfinity },
            },
        };
        GeneratedToken only = Assert.Single(await Ask(chat, "ROMEO:", ends));
        Assert.Equal((end, "", FinishReason.EndToken), (only.Id, only.Text, only.FinishReason));
        var prompt = new ChatPrompt(ChatFormat.Llama3, runtime.Tokenizer);
        int[] all = [.. prompt.First(null, "ROMEO:"), .. prompt.Next("", "JULIET:")];
        Assert.Equal(await Continue(all), Ids(await Ask(chat, "JULIET:")));
    }

    [Theory]
    [InlineData(8)]
    [InlineData(1)]
    public async Task Turns_are_taken_back_one_by_one_and_come_out_the_same_again(int keptStates)
    {
        using var chat = new ChatSession(runtime, new ChatOptions { KeptStates = keptStates });
        string[] said = ["ROMEO:", "JULIET:", "Exeunt"];
        var answers = new List<List<GeneratedToken>>();
        foreach (string text in said)
        {
            answers.Add(await Ask(chat, text, Seeded));
        }
        int length = chat.Length;
        for (int turns = 2; turns >= 0; turns--)
        {
            Assert.True(await chat.UndoAsync(TestToken));
            Assert.Equal(said[..turns], chat.History.Select(turn => turn.User));
        }
        Assert.Equal(0, chat.Length);
        Assert.False(await chat.UndoAsync(TestToken));
        for (int i = 0; i < said.Length; i++)
        {
            AssertSame(answers[i], await Ask(chat, said[i], Seeded));
        }
        Assert.Equal(length, chat.Length);
    }

    [Fact]
    public async Task A_turn_without_its_kept_state_is_taken_back_by_reading_again()
    {
        using var chat = new ChatSession(runtime, new ChatOptions { KeptStates = 0 });
        await Ask(chat, "ROMEO:");
        List<GeneratedToken> second = await Ask(chat, "JULIET:");
        using var canceled = new CancellationTokenSource();
        await canceled.CancelAsync();
        int length = chat.Length;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => chat.UndoAsync(canceled.Token));
        Assert.Equal((2, length), (chat.History.Count, chat.Length));
        Assert.True(await chat.UndoAsync(TestToken));
        Assert.Equal(Ids(second), Ids(await Ask(chat, "JULIET:")));
    }

    [Fact]
    public async Task A_stopped_answer_stays_as_far_as_it_came()
    {
        using var chat = new ChatSession(runtime);
        using var stop = new CancellationTokenSource();
        var seen = new List<GeneratedToken>();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (GeneratedToken token in chat.SendAsync("ROMEO:", Greedy, stop.Token))
            {
                seen.Add(token);
                if (seen.Count == 5)
                {
                    await stop.CancelAsync();
                }
            }
        });
        Assert.Equal([new ChatTurn("ROMEO:", TextOf(seen), null)], chat.History);
        var prompt = new ChatPrompt(ChatFormat.Llama3, runtime.Tokenizer);
        int[] all = [.. prompt.First(null, "ROMEO:"), .. Ids(seen), .. prompt.Next("", "JULIET:")];
        Assert.Equal(await Continue(all), Ids(await Ask(chat, "JULIET:")));
    }

    [Fact]
    public async Task An_enumeration_left_early_keeps_the_answer_too()
    {
        using var chat = new ChatSession(runtime);
        await foreach (GeneratedToken token in chat.SendAsync("ROMEO:", Greedy, TestToken))
        {
            Assert.Equal(0, token.Row);
            break;
        }
        Assert.Null(Assert.Single(chat.History).FinishReason);
        Assert.NotEmpty(await Ask(chat, "JULIET:"));
    }

    [Fact]
    public async Task A_turn_that_is_stopped_before_its_answer_is_taken_back()
    {
        using var chat = new ChatSession(runtime);
        List<GeneratedToken> first = await Ask(chat, "ROMEO:");
        int length = chat.Length;
        using var canceled = new CancellationTokenSource();
        await canceled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            Ask(chat, "JULIET:", Greedy, _ => { }, canceled.Token)
        );
        Assert.Equal((1, length), (chat.History.Count, chat.Length));
        List<GeneratedToken> second = await Ask(chat, "JULIET:");
        chat.Clear();
        AssertSame(first, await Ask(chat, "ROMEO:"));
        AssertSame(second, await Ask(chat, "JULIET:"));
    }

    [Fact]
    public async Task A_full_context_is_told_and_room_can_be_made()
    {
        using var chat = new ChatSession(runtime, new ChatOptions { Format = ChatFormat.Plain, ContextLength = 24 });
        List<GeneratedToken> first = await Ask(chat, "ROMEO:", Greedy with { MaxNewTokens = 4 });
        List<GeneratedToken> last = await Ask(chat, "JULIET:", Greedy with { MaxNewTokens = 100 });
        Assert.Equal(FinishReason.ContextLength, last[^1].FinishReason);
        await Assert.ThrowsAsync<ContextLengthException>(() => Ask(chat, "Exeunt"));
        Assert.Equal(2, chat.History.Count);
        Assert.True(await chat.UndoAsync(TestToken));
        AssertSame(last, await Ask(chat, "JULIET:", Greedy with { MaxNewTokens = 100 }));
        chat.Clear();
        AssertSame(first, await Ask(chat, "ROMEO:", Greedy with { MaxNewTokens = 4 }));
    }

    [Fact]
    public async Task One_call_at_a_time()
    {
        using var chat = new ChatSession(runtime);
        await foreach (GeneratedToken _ in chat.SendAsync("ROMEO:", Greedy, TestToken))
        {
            await Assert.ThrowsAsync<InvalidOperationException>(() => Ask(chat, "JULIET:"));
            await Assert.ThrowsAsync<InvalidOperationException>(() => chat.UndoAsync(TestToken));
            Assert.Throws<InvalidOperationException>(chat.Clear);
        }
        Assert.Single(chat.History);
    }

    [Fact]
    public async Task An_answer_of_no_tokens_is_a_turn_and_nothing_said_after_it_is_refused()
    {
        using var chat = new ChatSession(runtime, new ChatOptions { Format = ChatFormat.Plain });
        Assert.Empty(await Ask(chat, "ROMEO:\n", Greedy with { MaxNewTokens = 0 }));
        Assert.Equal([new ChatTurn("ROMEO:\n", "", null)], chat.History);
        ArgumentException error = await Assert.ThrowsAsync<ArgumentException>(() => Ask(chat, ""));
        Assert.Contains("expected a text, found an empty one", error.Message);
        Assert.Single(chat.History);
        Assert.NotEmpty(await Ask(chat, "JULIET:"));
    }

    [Fact]
    public async Task A_conversation_disposed_while_it_answers_ends_with_one_error()
    {
        var chat = new ChatSession(runtime);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Ask(chat, "ROMEO:", Greedy, _ => chat.Dispose()));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => Ask(chat, "ROMEO:"));
    }
}
