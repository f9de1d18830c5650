using System.Text;
using System.Text.Json;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Generation;

public sealed class TextGeneratorTests : IClassFixture<TextGeneratorTests.Model>
{
    public sealed class Model : IDisposable
    {
        public BambaRuntime Runtime { get; } = BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare));

        public void Dispose() => Runtime.Dispose();
    }

    private readonly BambaRuntime runtime;

    public TextGeneratorTests(Model model) => runtime = model.Runtime;

    private async Task<string> Write(string prompt, GenerationOptions options)
    {
        var text = new StringBuilder();
        await foreach (string piece in runtime.GenerateAsync(prompt, options, TestContext.Current.CancellationToken))
        {
            text.Append(piece);
        }
        return text.ToString();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Greedy_text_equals_Hugging_Face_s(int prompt)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(TestData.TinyShakespeare, "expected.json")));
        JsonElement expected = json.RootElement.GetProperty($"{prompt}");
        var options = new GenerationOptions { MaxNewTokens = 48, Sampling = SamplingOptions.Greedy };
        Assert.Equal(
            expected.GetProperty("text").GetString(),
            await Write(expected.GetProperty("prompt").GetString()!, options)
        );
    }

    [Fact]
    public async Task A_seed_repeats_a_text_and_another_changes_it()
    {
        GenerationOptions Seeded(ulong seed) =>
            new()
            {
                MaxNewTokens = 30,
                Sampling = new SamplingOptions { Temperature = 0.8, Seed = seed },
            };
        string first = await Write("ROMEO", Seeded(1));
        Assert.Equal(first, await Write("ROMEO", Seeded(1)));
        Assert.NotEqual(first, await Write("ROMEO", Seeded(2)));
    }

    [Fact]
    public async Task A_prompt_past_the_context_is_refused()
    {
        string prompt = string.Concat(Enumerable.Repeat("to be or not to be ", 2000));
        ContextLengthException error = await Assert.ThrowsAsync<ContextLengthException>(() =>
            Write(prompt, new GenerationOptions())
        );
        Assert.Equal(4096, error.ContextLength);
    }

    [Fact]
    public async Task Generation_stops_at_the_end_of_the_context()
    {
        string prompt = string.Concat(Enumerable.Repeat("a b c d e f g h ", 250));
        int length = runtime.Tokenizer.Encode(prompt).Length;
        Assert.InRange(length, 2000, 4095);
        string text = await Write(
            prompt,
            new GenerationOptions { MaxNewTokens = 3, Sampling = SamplingOptions.Greedy }
        );
        Assert.NotEmpty(text);
    }

    [Fact]
    public async Task Zero_tokens_write_nothing() =>
        Assert.Equal("", await Write("ROMEO", new GenerationOptions { MaxNewTokens = 0 }));
}
