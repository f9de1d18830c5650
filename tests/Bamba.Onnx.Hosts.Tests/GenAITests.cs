using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hosts.Tests;

/// <summary>Every way in which ONNX Runtime GenAI calls a model.</summary>
public sealed class GenAITests
{
    private const string Ways =
        "5 prompts × 48 tokens: alone, chunked, in a right-padded batch; 5 turns of a conversation";

    [Fact]
    public async Task GenAI_writes_what_Hugging_Face_writes()
    {
        GenAILibrary library = await GenAILibrary.FindOrSkipAsync();
        await AssertEveryWayAsync(library, Reference.Model);
        HostTable.Saw("ONNX Runtime GenAI", $"GenAI {library.Version}, C interface", "model.onnx", Ways);
    }

    [Fact]
    public async Task GenAI_with_the_native_library_writes_what_Hugging_Face_writes()
    {
        GenAILibrary library = await GenAILibrary.FindOrSkipAsync();
        string ops = Path.Combine(AppContext.BaseDirectory, CustomOps.FileName);
        Assert.SkipUnless(File.Exists(ops), "no native library was built");
        using var folder = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(Reference.Model, "*", SearchOption.AllDirectories))
        {
            string copy = folder[Path.GetRelativePath(Reference.Model, file)];
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
        // GenAI takes libraries from the model's folder only.
        File.Copy(ops, folder[CustomOps.FileName]);
        await AssertEveryWayAsync(library, folder.Path, CustomOps.FileName);
        HostTable.Saw(
            "ONNX Runtime GenAI with `bamba_ops`",
            $"GenAI {library.Version}, C interface",
            "model.onnx",
            Ways
        );
    }

    private static async Task AssertEveryWayAsync(GenAILibrary library, string model, params string[] ops)
    {
        foreach (string way in (string[])["plain", "chunked", "batch"])
        {
            Assert.Equal((way, Reference.TokenLines), (way, await RunAsync(way)));
        }
        Assert.Equal(await ConversationAsync(), await RunAsync("turns"));

        async Task<string> RunAsync(string way)
        {
            HostProcess run = await HostProcess.RunDotnetAsync(
                "Bamba.Onnx.Hosts.GenAI",
                [library.Path, model, way, $"{Reference.Count}", .. ops],
                Reference.PromptLines
            );
            return run.Out;
        }
    }

    /// <summary>The prompts as turns of one conversation, every answer from the whole conversation so far.</summary>
    private static async Task<string> ConversationAsync()
    {
        using BambaRuntime runtime = BambaRuntime.Load(
            Reference.Model,
            new BambaRuntimeOptions { CustomOps = CustomOps.Off }
        );
        var options = new GenerationOptions
        {
            MaxNewTokens = Reference.Count,
            Sampling = SamplingOptions.Greedy,
            EosTokenIds = [],
        };
        var conversation = new List<int>();
        var lines = new List<string>();
        foreach (ReferencePrompt prompt in Reference.Prompts)
        {
            conversation.AddRange(prompt.Ids);
            using BambaSession session = runtime.CreateSession();
            int[] answer = await session
                .GenerateTokensAsync([conversation.ToArray()], options, TestContext.Current.CancellationToken)
                .Select(token => token.Id)
                .ToArrayAsync(TestContext.Current.CancellationToken);
            conversation.AddRange(answer);
            lines.Add($"{Reference.Line(answer)}\n");
        }
        return string.Concat(lines);
    }
}
