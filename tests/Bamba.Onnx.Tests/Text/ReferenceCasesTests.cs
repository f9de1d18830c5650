using System.Text.Json;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Testing;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

/// <summary>The tokenizer of the shipped model against what Hugging Face's makes of the same strings.</summary>
public sealed class ReferenceCasesTests
{
    private static readonly BambaTokenizer Tokenizer = BambaTokenizer.Load(TestData.TinyShakespeare);

    private static readonly ReferenceCase[] Cases = ReadCases();

    public static TheoryData<int> CaseIndices => [.. Enumerable.Range(0, 116)];

    [Fact]
    public void There_are_116_cases()
    {
        Assert.Equal(116, Cases.Length);
    }

    [Theory]
    [MemberData(nameof(CaseIndices))]
    public void Text_becomes_the_ids_that_hugging_face_gives(int index)
    {
        ReferenceCase expected = Cases[index];

        Assert.Equal(expected.Ids, Tokenizer.Encode(expected.Text));
        Assert.Equal(expected.IdsWithoutSpecial, Tokenizer.Encode(expected.Text, addSpecialTokens: false));
    }

    [Theory]
    [MemberData(nameof(CaseIndices))]
    public void Ids_become_the_text_that_hugging_face_gives(int index)
    {
        ReferenceCase expected = Cases[index];

        Assert.Equal(expected.Decoded, Tokenizer.Decode(expected.IdsWithoutSpecial, skipSpecialTokens: false));
    }

    [Fact]
    public void The_vocabulary_is_the_models()
    {
        Assert.Equal(
            BambaConfig.Load(Path.Combine(TestData.TinyShakespeare, ModelFiles.Config)).VocabSize,
            Tokenizer.VocabSize
        );
        Assert.Equal(2043, Tokenizer.TokenId("<|begin_of_text|>"));
        Assert.Equal(220, Tokenizer.TokenId("Ġ"));
        Assert.Null(Tokenizer.TokenId("<|no_such_token|>"));
        Assert.True(Tokenizer.IsSpecial(2047));
        Assert.False(Tokenizer.IsSpecial(220));
        Assert.False(Tokenizer.IsSpecial(-1));
        Assert.False(Tokenizer.IsSpecial(int.MaxValue));
    }

    private static ReferenceCase[] ReadCases()
    {
        using var json = JsonDocument.Parse(
            File.ReadAllBytes(Path.Combine(TestData.TinyShakespeare, "tokenizer_cases.json"))
        );
        return
        [
            .. json
                .RootElement.EnumerateArray()
                .Select(item => new ReferenceCase(
                    item.GetProperty("text").GetString()!,
                    Ints(item.GetProperty("ids")),
                    Ints(item.GetProperty("ids_without_special")),
                    item.GetProperty("decoded").GetString()!
                )),
        ];
    }

    private static int[] Ints(JsonElement list) => [.. list.EnumerateArray().Select(item => item.GetInt32())];

    private sealed record ReferenceCase(string Text, int[] Ids, int[] IdsWithoutSpecial, string Decoded);
}
