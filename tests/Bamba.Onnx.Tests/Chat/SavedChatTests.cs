using Bamba.Onnx.Chat;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Chat;

public sealed class SavedChatTests : IClassFixture<ChatSessionTests.Model>
{
    private static readonly GenerationOptions Seeded = new()
    {
        MaxNewTokens = 10,
        Sampling = new SamplingOptions { Temperature = 1, Seed = 3 },
        LogProbabilities = 2,
    };

    private readonly BambaRuntime runtime;

    public SavedChatTests(ChatSessionTests.Model model) => runtime = model.Runtime;

    private static CancellationToken TestToken => TestContext.Current.CancellationToken;

    /// <summary>Ids and log probabilities of an answer.</summary>
    private static async Task<List<(int Id, double LogProbability)>> Ask(ChatSession chat, string text)
    {
        var tokens = new List<(int, double)>();
        await foreach (GeneratedToken token in chat.SendAsync(text, Seeded, TestToken))
        {
            tokens.Add((token.Id, token.LogProbabilities!.Chosen.LogProbability));
        }
        return tokens;
    }

    private static async Task<byte[]> Save(ChatSession chat)
    {
        using var file = new MemoryStream();
        await chat.SaveAsync(file, TestToken);
        return file.ToArray();
    }

    private static async Task Load(ChatSession chat, byte[] bytes)
    {
        using var file = new MemoryStream(bytes);
        await chat.LoadAsync(file, TestToken);
    }

    [Theory]
    [InlineData("plain", "A play")]
    [InlineData("llama3", null)]
    public async Task A_saved_conversation_goes_on_bit_for_bit(string format, string? system)
    {
        var options = new ChatOptions { Format = ChatFormat.Named(format), SystemPrompt = system };
        using var chat = new ChatSession(runtime, options);
        await Ask(chat, "ROMEO: \u2019tis \ud83d\ude00");
        await Ask(chat, "JULIET:");
        byte[] saved = await Save(chat);
        using BambaRuntime other = BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare));
        using var restored = new ChatSession(other, new ChatOptions { SystemPrompt = "another" });
        await Ask(restored, "Something else");
        await Load(restored, saved);
        Assert.Equal(chat.History, restored.History);
        Assert.Equal((format, system, chat.Length), (restored.Format.Name, restored.SystemPrompt, restored.Length));
        Assert.Equal(saved, await Save(restored));
        Assert.Equal(await Ask(chat, "Exeunt"), await Ask(restored, "Exeunt"));
        while (await restored.UndoAsync(TestToken)) { }
        chat.Clear();
        Assert.Equal(await Ask(chat, "ROMEO:"), await Ask(restored, "ROMEO:"));
    }

    [Fact]
    public async Task A_conversation_that_has_not_begun_can_be_saved()
    {
        using var chat = new ChatSession(runtime);
        byte[] empty = await Save(chat);
        List<(int, double)> first = await Ask(chat, "ROMEO:");
        await Load(chat, empty);
        Assert.Empty(chat.History);
        Assert.Equal(first, await Ask(chat, "ROMEO:"));
    }

    [Fact]
    public async Task A_conversation_with_another_model_is_refused_and_this_one_stays()
    {
        using BambaRuntime half = BambaRuntime.Load(
            ExportedModels.Of(TestData.TinyShakespeare, new ExportOptions { Dtype = ElementType.Float16 })
        );
        using var stranger = new ChatSession(half);
        await Ask(stranger, "ROMEO:");
        using var folder = new TemporaryFolder();
        await stranger.SaveAsync(folder["chat"], TestToken);
        using var chat = new ChatSession(runtime);
        await Ask(chat, "JULIET:");
        byte[] before = await Save(chat);
        BambaFormatException error = await Assert.ThrowsAsync<BambaFormatException>(() =>
            chat.LoadAsync(folder["chat"], TestToken)
        );
        Assert.Contains($"{folder["chat"]}: expected a conversation with this model", error.Message);
        Assert.Equal(before, await Save(chat));
    }

    [Fact]
    public async Task A_conversation_longer_than_the_context_is_refused_and_this_one_stays()
    {
        using var chat = new ChatSession(runtime);
        await Ask(chat, "ROMEO:");
        byte[] saved = await Save(chat);
        using var small = new ChatSession(runtime, new ChatOptions { ContextLength = 12 });
        await Assert.ThrowsAsync<ContextLengthException>(() => Load(small, saved));
        Assert.Empty(small.History);
    }

    [Fact]
    public async Task Every_damage_is_found_and_the_conversation_stays()
    {
        using var chat = new ChatSession(runtime, new ChatOptions { ContextLength = 64 });
        await Ask(chat, "ROMEO:");
        byte[] whole = await Save(chat);
        foreach (int i in Enumerable.Range(0, 64).Select(part => part * 11 % 700).Append(whole.Length - 1))
        {
            byte[] damaged = [.. whole];
            damaged[i] ^= 0x11;
            await Assert.ThrowsAsync<BambaException>(() => Load(chat, damaged));
            await Assert.ThrowsAsync<BambaException>(() => Load(chat, whole[..i]));
        }
        Assert.Equal(whole, await Save(chat));
    }

    [Fact]
    public async Task A_file_is_replaced_whole_or_not_at_all()
    {
        using var folder = new TemporaryFolder();
        using var chat = new ChatSession(runtime);
        await Ask(chat, "ROMEO:");
        await chat.SaveAsync(folder["chat"], TestToken);
        byte[] first = await File.ReadAllBytesAsync(folder["chat"], TestToken);
        await Ask(chat, "JULIET:");
        using var canceled = new CancellationTokenSource();
        await canceled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => chat.SaveAsync(folder["chat"], canceled.Token));
        Assert.Equal(first, await File.ReadAllBytesAsync(folder["chat"], TestToken));
        await chat.SaveAsync(folder["chat"], TestToken);
        Assert.Equal(await Save(chat), await File.ReadAllBytesAsync(folder["chat"], TestToken));
        Assert.Single(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_file_that_is_missing_or_something_else_is_refused_by_name()
    {
        using var folder = new TemporaryFolder();
        using var chat = new ChatSession(runtime);
        await File.WriteAllTextAsync(folder["text"], "once upon a time there was a file", TestToken);
        Assert.Contains(
            $"{folder["text"]}: expected a saved conversation",
            (await Assert.ThrowsAsync<BambaFormatException>(() => chat.LoadAsync(folder["text"], TestToken))).Message
        );
        Assert.Contains(
            $"{folder["none"]}: no such file",
            (await Assert.ThrowsAsync<BambaFormatException>(() => chat.LoadAsync(folder["none"], TestToken))).Message
        );
    }
}
