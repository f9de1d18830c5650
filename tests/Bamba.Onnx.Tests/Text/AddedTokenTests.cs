using System.Text.Json.Nodes;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

public sealed class AddedTokenTests
{
    [Fact]
    public void Of_tokens_that_start_together_the_longest_is_taken()
    {
        using var folder = new TokenizerFolder();
        int shorter = folder.Add("<|a|>");
        int longer = folder.Add("<|a|><|b|>");

        Assert.Equal(['x', longer, shorter, 'y'], folder.Load().Encode("x<|a|><|b|><|a|>y"));
    }

    [Fact]
    public void In_a_literal_text_special_tokens_are_words_and_the_others_still_tokens()
    {
        using var folder = new TokenizerFolder();
        int special = folder.Add("<|s|>");
        int ordinary = folder.Add("<|o|>", special: false);
        BambaTokenizer tokenizer = folder.Load();

        Assert.Equal([special, ordinary, '!'], tokenizer.Encode("<|s|><|o|>!"));
        Assert.Equal([.. "<|s|>", ordinary, '!'], tokenizer.EncodeLiteral("<|s|><|o|>!"));
    }

    [Fact]
    public void White_space_beside_a_token_is_swallowed_where_it_says_so()
    {
        using var folder = new TokenizerFolder();
        int left = folder.Add("<l>", lstrip: true);
        int right = folder.Add("<r>", rstrip: true);
        BambaTokenizer tokenizer = folder.Load();

        Assert.Equal(['a', left, ' ', 'b'], tokenizer.Encode("a \n<l> b"));
        Assert.Equal(['a', ' ', right, 'b'], tokenizer.Encode("a <r>\u3000 b"));
        Assert.Equal([right, left, left], tokenizer.Encode("<r>  <l> <l>"));
    }

    [Theory]
    [InlineData("a dog", true)]
    [InlineData("dog", true)]
    [InlineData("(dog)", true)]
    [InlineData("😀dog", true)]
    [InlineData("dogs", false)]
    [InlineData("hotdog", false)]
    [InlineData("dog_", false)]
    [InlineData("dog1", false)]
    [InlineData("𝔘dog", false)]
    [InlineData("dogⅧ", false)]
    [InlineData("dogⒶ", false)]
    [InlineData("dog\u0301", false)]
    [InlineData("dog\u200D", false)]
    public void A_single_word_is_found_only_where_no_word_character_touches_it(string text, bool found)
    {
        using var folder = new TokenizerFolder();
        int dog = folder.Add("dog", special: false, singleWord: true);

        Assert.Equal(found, folder.Load().Encode(text).Contains(dog));
    }

    [Fact]
    public void Normalized_tokens_are_looked_for_in_what_the_others_left()
    {
        using var folder = new TokenizerFolder();
        int later = folder.Add("a<b", normalized: true);
        int first = folder.Add("<b>");
        BambaTokenizer tokenizer = folder.Load();

        Assert.Equal(['a', first], tokenizer.Encode("a<b>"));
        Assert.Equal([later], tokenizer.Encode("a<b"));
    }

    [Fact]
    public void Only_special_tokens_are_skipped_in_decoding()
    {
        using var folder = new TokenizerFolder();
        int special = folder.Add("<s>");
        int plain = folder.Add("Ġ é", special: false);
        BambaTokenizer tokenizer = folder.Load();
        int[] ids = [special, 'a', plain];

        Assert.Equal(ids, tokenizer.Encode("<s>aĠ é"));
        Assert.Equal("aĠ é", tokenizer.Decode(ids));
        Assert.Equal("<s>aĠ é", tokenizer.Decode(ids, skipSpecialTokens: false));
        Assert.True(tokenizer.IsSpecial(special));
        Assert.False(tokenizer.IsSpecial(plain));
        Assert.Equal(258, tokenizer.VocabSize);
    }

    [Fact]
    public void Ids_may_leave_gaps()
    {
        using var folder = new TokenizerFolder();
        folder.Add("<s>");
        folder.Json["added_tokens"]![0]!["id"] = 300;
        BambaTokenizer tokenizer = folder.Load();

        Assert.Equal(301, tokenizer.VocabSize);
        Assert.Equal([300], tokenizer.Encode("<s>"));
        Assert.Equal("<s>", tokenizer.Decode([280, 300], skipSpecialTokens: false));
    }

    [Fact]
    public void The_template_surrounds_the_text_and_only_on_request()
    {
        using var folder = new TokenizerFolder();
        int begin = folder.Add("<s>");
        int end = folder.Add("</s>");
        folder.Json["post_processor"] = TokenizerFolder.Sequence(
            "processors",
            TokenizerFolder.ByteLevel(useRegex: true),
            JsonNode.Parse(
                """
                {"type": "TemplateProcessing",
                 "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                            {"SpecialToken": {"id": "end", "type_id": 0}}],
                 "special_tokens": {"<s>": {"id": "<s>", "ids": [256]}, "end": {"id": "end", "ids": [257, 257]}}}
                """
            )!
        );
        BambaTokenizer tokenizer = folder.Load();

        Assert.Equal([begin, 'a', end, end], tokenizer.Encode("a"));
        Assert.Equal([begin, end, end], tokenizer.Encode(""));
        Assert.Equal(['a'], tokenizer.Encode("a", addSpecialTokens: false));
    }

    [Fact]
    public void Half_a_surrogate_pair_counts_as_the_replacement_character()
    {
        using var folder = new TokenizerFolder();
        BambaTokenizer tokenizer = folder.Load();
        // Not in attributes: they keep their text as UTF-8, which has no halves.
        (string Broken, string Text)[] cases =
        [
            ("a\uD83Db", "a\uFFFDb"),
            ("\uDE00", "\uFFFD"),
            ("a\uDE00\uD83D", "a\uFFFD\uFFFD"),
            ("\uD83D\uD83D\uDE00", "\uFFFD😀"),
        ];

        Assert.All(cases, item => Assert.Equal(tokenizer.Encode(item.Text), tokenizer.Encode(item.Broken)));
    }
}
