using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Generation;

/// <summary>Token streams, batches and reasons to end.</summary>
public sealed class GeneratedTokenTests : IDisposable
{
    private static readonly string[] Prompts = ["To be, or not to be", "ROMEO:", "My lord, the king is come and", "O"];

    private readonly BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => runtime.Dispose();

    private static GenerationOptions Greedy(int tokens) =>
        new() { MaxNewTokens = tokens, Sampling = SamplingOptions.Greedy };

    private static int[] Ids(GeneratedText text) => [.. text.Tokens.Select(token => token.Id)];

    [Fact]
    public async Task Rows_of_a_batch_write_what_each_writes_alone()
    {
        const int Count = 40;
        IReadOnlyList<GeneratedText> batch = await runtime.CompleteAsync(Prompts, Greedy(Count), Token);
        for (int row = 0; row < Prompts.Length; row++)
        {
            GeneratedText alone = await runtime.CompleteAsync(
                Prompts[row],
                Greedy(Count) with
                {
                    LogProbabilities = 2,
                },
                Token
            );
            // Batched kernels round otherwise, so that a near tie may fall either way; from there on texts may differ.
            int clear = alone
                .Tokens.TakeWhile(token =>
                    token.LogProbabilities!.Alternatives is [var first, var second]
                    && first.LogProbability - second.LogProbability > 1e-3
                )
                .Count();
            Assert.True(clear >= 10, $"row {row}: a near tie after {clear} tokens leaves little to compare");
            Assert.Equal(Ids(alone).Take(clear), Ids(batch[row]).Take(clear));
            Assert.Equal(Prompts[row], batch[row].Prompt);
            Assert.Equal(runtime.Tokenizer.Encode(Prompts[row]).Length, batch[row].PromptTokens);
        }
    }

    [Fact]
    public async Task A_seed_gives_the_same_text_in_any_row()
    {
        var options = new GenerationOptions
        {
            MaxNewTokens = 30,
            Sampling = new SamplingOptions
            {
                Temperature = 0.8,
                TopP = 0.95,
                Seed = 7,
            },
        };
        GeneratedText alone = await runtime.CompleteAsync("ROMEO:", options, Token);
        foreach (int row in (int[])[0, 1, 2])
        {
            string[] prompts = ["To be", "My lord,", "O"];
            prompts[row] = "ROMEO:";
            Assert.Equal(alone.Text, (await runtime.CompleteAsync(prompts, options, Token))[row].Text);
        }
        IReadOnlyList<GeneratedText> unseeded = await runtime.CompleteAsync(
            ["ROMEO:", "ROMEO:"],
            options with
            {
                Sampling = options.Sampling with { Seed = null },
            },
            Token
        );
        Assert.NotEqual(unseeded[0].Text, unseeded[1].Text);
    }

    [Fact]
    public async Task Every_way_to_end_has_its_reason()
    {
        GeneratedText whole = await runtime.CompleteAsync("ROMEO:", Greedy(30), Token);
        Assert.Equal(FinishReason.MaxNewTokens, whole.FinishReason);
        Assert.All(whole.Tokens.SkipLast(1), token => Assert.Null(token.FinishReason));

        string stop = whole.Text.Substring(9, 7);
        int at = whole.Text.IndexOf(stop, StringComparison.Ordinal);
        GeneratedText stopped = await runtime.CompleteAsync(
            "ROMEO:",
            Greedy(30) with
            {
                StopStrings = ["no such text", stop],
            },
            Token
        );
        Assert.Equal((whole.Text[..at], FinishReason.StopString), (stopped.Text, stopped.FinishReason));
        Assert.True(stopped.Tokens.Length < whole.Tokens.Length);

        GeneratedText ended = await runtime.CompleteAsync(
            "ROMEO:",
            Greedy(30) with
            {
                EosTokenIds = [whole.Tokens[5].Id],
            },
            Token
        );
        int first = Ids(whole).IndexOf(whole.Tokens[5].Id);
        Assert.Equal(Ids(whole).Take(first + 1), Ids(ended));
        Assert.Equal(FinishReason.EndToken, ended.FinishReason);
        Assert.Equal(
            whole.Tokens.Take(first).Select(token => token.Text),
            ended.Tokens.SkipLast(1).Select(t => t.Text)
        );

        int[] prompt = runtime.Tokenizer.Encode("ROMEO:");
        using BambaSession session = runtime.CreateSession(contextLength: prompt.Length + 4);
        List<GeneratedToken> full = await Collect(session, prompt, Greedy(30));
        Assert.Equal(5, full.Count);
        Assert.Equal(FinishReason.ContextLength, full[^1].FinishReason);
        Assert.Equal(Ids(whole).Take(5), full.Select(token => token.Id));
    }

    private static async Task<List<GeneratedToken>> Collect(BambaSession session, int[] ids, GenerationOptions options)
    {
        var tokens = new List<GeneratedToken>();
        await foreach (GeneratedToken token in session.GenerateTokensAsync([ids], options, Token))
        {
            tokens.Add(token);
        }
        return tokens;
    }

    [Fact]
    public async Task A_session_goes_on_with_its_last_token_or_from_a_snapshot()
    {
        int[] whole = Ids(await runtime.CompleteAsync("ROMEO:", Greedy(20), Token));
        using BambaSession session = runtime.CreateSession(contextLength: 100);
        List<GeneratedToken> first = await Collect(session, runtime.Tokenizer.Encode("ROMEO:"), Greedy(12));
        using BambaSession fork = session.Fork();
        List<GeneratedToken> second = await Collect(session, [first[^1].Id], Greedy(8));
        Assert.Equal(whole, first.Concat(second).Select(token => token.Id));

        // Without new tokens the scores that the fork brought along are where it begins: they choose the last token again.
        List<GeneratedToken> again = await Collect(fork, [], Greedy(9));
        Assert.Equal(whole[11..], again.Select(token => token.Id));
    }

    [Fact]
    public async Task Log_probabilities_are_those_of_the_model_itself()
    {
        int[] prompt = runtime.Tokenizer.Encode("ROMEO:");
        using BambaSession session = runtime.CreateSession(contextLength: 100);
        double[] scores = [.. session.Prefill(prompt).Row(0).ToArray().Select(score => (double)score)];
        GeneratedText text = await runtime.CompleteAsync(
            "ROMEO:",
            new GenerationOptions
            {
                MaxNewTokens = 1,
                LogProbabilities = 3,
                Sampling = new SamplingOptions { Temperature = 0.1, Seed = 1 },
            },
            Token
        );
        LogProbabilities found = text.Tokens[0].LogProbabilities!;
        double total = Math.Log(scores.Sum(Math.Exp));
        Assert.Equal(3, found.Alternatives.Length);
        Assert.All(
            found.Alternatives.Append(found.Chosen),
            entry => Assert.Equal(scores[entry.Id] - total, entry.LogProbability, 1e-9)
        );
        Assert.Equal(scores.Max() - total, found.Alternatives[0].LogProbability, 1e-9);
    }

    [Fact]
    public async Task Cancellation_ends_a_generation_between_tokens_and_leaves_the_session_usable()
    {
        using var cancellation = new CancellationTokenSource();
        using BambaSession session = runtime.CreateSession(contextLength: 200);
        int count = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            ReadOnlyMemory<int>[] prompt = [runtime.Tokenizer.Encode("ROMEO:")];
            await foreach (GeneratedToken _ in session.GenerateTokensAsync(prompt, Greedy(100), cancellation.Token))
            {
                if (++count == 5)
                {
                    await cancellation.CancelAsync();
                }
            }
        });
        Assert.Equal(5, count);
        Assert.Equal(runtime.Tokenizer.Encode("ROMEO:").Length + 4, session.Length(0));
        session.Decode(1);
    }

    [Fact]
    public void A_greedy_decode_step_allocates_nothing()
    {
        using BambaSession session = runtime.CreateSession(contextLength: 600);
        var sampler = new TokenSampler(SamplingOptions.Greedy);
        Logits logits = session.Prefill(new[] { 5, 6, 7 });
        int Steps(int count)
        {
            int token = 0;
            for (int i = 0; i < count; i++)
            {
                token = sampler.Sample(logits.Row(0), session.Tokens(0), 3);
                logits = session.Decode(token);
            }
            return token;
        }
        Steps(64);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Steps(500);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
