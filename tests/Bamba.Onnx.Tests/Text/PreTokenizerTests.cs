using System.Text.Json;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

public sealed class PreTokenizerTests
{
    private static readonly JsonObject Llama3 = TokenizerFolder.Sequence(
        "pretokenizers",
        TokenizerFolder.Split(TokenizerFolder.Llama3Pattern),
        TokenizerFolder.ByteLevel(useRegex: false)
    );

    [Fact]
    public void Words_are_those_of_the_pattern_written_out_by_hand()
    {
        PreTokenizer preTokenizer = Read(Llama3);
        var random = new Random(22);
        for (int round = 0; round < 5_000; round++)
        {
            string text = RandomText.Create(random, random.Next(30));

            Assert.Equal(Llama3Words.Split(text), Words(preTokenizer, text));
        }
    }

    [Theory]
    [InlineData("𝔘𝔫𝔦 code", "𝔘𝔫𝔦| code")]
    [InlineData("𝟙𝟚𝟛𝟜 12345", "𝟙𝟚𝟛|𝟜| |123|45")]
    [InlineData("x😀y z", "x|😀y| z")]
    [InlineData("a 😀😀\n\nb", "a| 😀😀\n\n|b")]
    [InlineData("a\U0001FFFFb", "a|\U0001FFFFb")]
    [InlineData("they'Sx he'ſx", "they|'S|x| he|'ſ|x")]
    [InlineData("'\u212Am'M", "'\u212Am|'M")]
    [InlineData("a   b \n c", "a|  | b| \n| c")]
    public void Characters_count_as_what_they_are(string text, string words)
    {
        Assert.Equal(words.Split('|'), Words(Read(Llama3), text));
    }

    [Fact]
    public void ByteLevel_alone_has_the_words_of_gpt2()
    {
        PreTokenizer preTokenizer = Read(TokenizerFolder.ByteLevel(useRegex: true));

        Assert.Equal(
            ["Hello", " 𝔘𝔫", "'s", " 12345", "!!", "  ", " x", "'", "S"],
            Words(preTokenizer, "Hello 𝔘𝔫's 12345!!   x'S")
        );
    }

    [Fact]
    public void ByteLevel_puts_a_space_before_text_where_it_is_told_to()
    {
        PreTokenizer preTokenizer = Read(TokenizerFolder.ByteLevel(useRegex: true, addPrefixSpace: true));

        Assert.Equal([" a", " b"], Words(preTokenizer, "a b"));
        Assert.Equal([" a"], Words(preTokenizer, " a"));
        Assert.Empty(Words(preTokenizer, ""));
    }

    [Theory]
    [InlineData("Isolated", false, "a|12|b|3")]
    [InlineData("Isolated", true, "a|12|b|3")]
    [InlineData("Removed", false, "a|b")]
    [InlineData("Removed", true, "12|3")]
    public void A_split_keeps_what_its_behavior_says(string behavior, bool invert, string words)
    {
        PreTokenizer preTokenizer = Read(
            TokenizerFolder.Sequence(
                "pretokenizers",
                TokenizerFolder.Split(@"\p{N}+", behavior, invert),
                TokenizerFolder.ByteLevel(useRegex: false)
            )
        );

        Assert.Equal(words.Split('|'), Words(preTokenizer, "a12b3"));
    }

    [Fact]
    public void A_split_at_a_string_takes_it_literally()
    {
        JsonObject split = TokenizerFolder.Split("");
        split["pattern"] = new JsonObject { ["String"] = "." };
        PreTokenizer preTokenizer = Read(
            TokenizerFolder.Sequence("pretokenizers", split, TokenizerFolder.ByteLevel(useRegex: false))
        );

        Assert.Equal(["ab", ".", "c"], Words(preTokenizer, "ab.c"));
    }

    [Fact]
    public void Each_split_cuts_what_the_one_before_left()
    {
        PreTokenizer preTokenizer = Read(
            TokenizerFolder.Sequence(
                "pretokenizers",
                TokenizerFolder.Split(@"\p{N}{1,3}"),
                TokenizerFolder.Split("[一-龥]+"),
                TokenizerFolder.ByteLevel(useRegex: true)
            )
        );

        Assert.Equal(["123", "4", "漢字", "ab", " c𠀀"], Words(preTokenizer, "1234漢字ab c𠀀"));
    }

    private static string[] Words(PreTokenizer preTokenizer, string text) =>
        [.. preTokenizer.Split(text.AsMemory()).Select(word => word.ToString())];

    private static PreTokenizer Read(JsonObject json)
    {
        using var document = JsonDocument.Parse(json.ToJsonString());
        return PreTokenizerReader.Read(new JsonAt(document.RootElement, "tokenizer.json", "pre_tokenizer"));
    }
}
