using System.Diagnostics;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cuda.Tests;

/// <summary>Tokens that a device chooses against those that the processor chooses from the same model's scores.</summary>
[Collection(CudaMachine.Name)]
public sealed class CudaSamplingTests
{
    private static readonly string[] Prompts = ["To be, or not to be", "ROMEO:", "Enter the king, and"];

    public static TheoryData<string> Settings => [.. Named.Keys];

    private static Dictionary<string, SamplingOptions> Named { get; } =
        new()
        {
            ["greedy"] = SamplingOptions.Greedy,
            ["temperature 0.8"] = new() { Temperature = 0.8, Seed = 1 },
            ["top-k 40"] = new() { TopK = 40, Seed = 2 },
            ["top-p 0.9"] = new() { TopP = 0.9, Seed = 3 },
            ["min-p 0.05"] = new()
            {
                MinP = 0.05,
                Temperature = 1.5,
                Seed = 4,
            },
            ["all"] = new()
            {
                TopK = 50,
                TopP = 0.95,
                MinP = 0.02,
                Temperature = 0.7,
                Seed = 5,
            },
        };

    [Theory]
    [MemberData(nameof(Settings))]
    public async Task The_same_seed_gives_the_same_text_wherever_tokens_are_chosen(string setting)
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        var options = new GenerationOptions { MaxNewTokens = 120, Sampling = Named[setting] };
        // Log probabilities need the scores, so that the processor chooses.
        GenerationOptions onProcessor = options with
        {
            LogProbabilities = 0,
        };
        IReadOnlyList<GeneratedText> expected = await runtime.CompleteAsync(Prompts, onProcessor);
        IReadOnlyList<GeneratedText> found = await runtime.CompleteAsync(Prompts, options);
        Assert.Equal(expected.Select(Ids), found.Select(Ids));
        Assert.Equal(expected.Select(text => text.FinishReason), found.Select(text => text.FinishReason));

        static int[] Ids(GeneratedText text) => [.. text.Tokens.Select(token => token.Id)];
    }

    [Fact]
    public async Task A_reader_who_ends_early_finds_the_session_as_the_processor_would_leave_it()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        var options = new GenerationOptions { MaxNewTokens = 40, Sampling = SamplingOptions.Greedy };
        int[] byDevice = await UseAsync(runtime, options);
        int[] byProcessor = await UseAsync(runtime, options with { LogProbabilities = 0 });
        Assert.Equal(byProcessor, byDevice);
    }

    [Fact]
    public async Task End_tokens_and_stop_strings_end_a_row_where_the_processor_ends_it()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        var options = new GenerationOptions { MaxNewTokens = 100, Sampling = SamplingOptions.Greedy };
        IReadOnlyList<GeneratedText> whole = await runtime.CompleteAsync(Prompts, options);
        int end = whole[0].Tokens[20].Id;
        foreach (
            GenerationOptions ending in (GenerationOptions[])
                [options with { EosTokenIds = [end] }, options with { StopStrings = ["the", "\n"] }]
        )
        {
            IReadOnlyList<GeneratedText> expected = await runtime.CompleteAsync(
                Prompts,
                ending with
                {
                    LogProbabilities = 0,
                }
            );
            IReadOnlyList<GeneratedText> found = await runtime.CompleteAsync(Prompts, ending);
            Assert.Equal(expected.Select(text => text.Text), found.Select(text => text.Text));
            Assert.Equal(expected.Select(text => text.FinishReason), found.Select(text => text.FinishReason));
        }
    }

    [Fact]
    public async Task A_token_costs_at_most_20_microseconds_outside_the_model()
    {
        CudaMachine.Require();
        using BambaRuntime runtime = CudaMachine.Load(TestData.TinyShakespeare, ElementType.Float16);
        using BambaSession session = runtime.CreateSession();
        ReadOnlyMemory<int>[] prompt = [runtime.Tokenizer.Encode(Prompts[0])];
        var options = new GenerationOptions
        {
            MaxNewTokens = 1000,
            EosTokenIds = [],
            Sampling = SamplingOptions.Greedy,
        };
        var outside = new List<double>();
        (long time, long inside) = (Stopwatch.GetTimestamp(), session.RunTicks);
        await foreach (GeneratedToken _ in session.GenerateTokensAsync(prompt, options))
        {
            (long now, long ran) = (Stopwatch.GetTimestamp(), session.RunTicks);
            outside.Add((now - time - (ran - inside)) * 1e6 / Stopwatch.Frequency);
            (time, inside) = (now, ran);
        }
        outside.Sort();
        double median = outside[outside.Count / 2];
        TestContext.Current.SendDiagnosticMessage(
            $"outside the model: {median:F1} us a token, median of {outside.Count}"
        );
        Assert.InRange(median, 0, 20);
    }

    /// <summary>Generates, stops half-way, and goes on: the session's tokens at each point.</summary>
    private static async Task<int[]> UseAsync(BambaRuntime runtime, GenerationOptions options)
    {
        using BambaSession session = runtime.CreateSession();
        ReadOnlyMemory<int>[] prompt = [runtime.Tokenizer.Encode(Prompts[0])];
        var seen = new List<int>();
        int last = 0;
        await foreach (GeneratedToken token in session.GenerateTokensAsync(prompt, options))
        {
            last = token.Id;
            if (seen.Count + 1 == 13)
            {
                break;
            }
            seen.Add(token.Id);
        }
        seen.AddRange(session.Tokens(0));
        await foreach (GeneratedToken token in session.GenerateTokensAsync([new[] { last }], options))
        {
            seen.Add(token.Id);
        }
        seen.AddRange(session.Tokens(0));
        return [.. seen];
    }
}
