using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

/// <summary>Every file that is not understood is refused by a message that names the file and the key.</summary>
public sealed class TokenizerRefusalTests
{
    private static readonly Dictionary<string, (Action<TokenizerFolder> Damage, string Message)> Damages = new()
    {
        ["no model"] = (folder => folder.Json.Remove("model"), "model: expected a value, found nothing"),
        ["null model"] = (folder => folder.Json["model"] = null, "model: expected a value, found nothing"),
        ["model type"] = (folder => folder.Model["type"] = "Unigram", "model.type: expected BPE, found \"Unigram\""),
        ["no model type"] = (folder => folder.Model.Remove("type"), "model.type: expected a value, found nothing"),
        ["dropout"] = (folder => folder.Model["dropout"] = 0.1, "model.dropout: expected null, found 0.1"),
        ["prefix"] = (
            folder => folder.Model["continuing_subword_prefix"] = "##",
            "model.continuing_subword_prefix: expected null or an empty string, found \"##\""
        ),
        ["suffix"] = (
            folder => folder.Model["end_of_word_suffix"] = "</w>",
            "model.end_of_word_suffix: expected null or an empty string, found \"\\u003C/w\\u003E\""
        ),
        ["no vocab"] = (folder => folder.Model.Remove("vocab"), "model.vocab: expected a value, found nothing"),
        ["vocab list"] = (
            folder => folder.Model["vocab"] = new JsonArray(),
            "model.vocab: expected an object, found []"
        ),
        ["negative id"] = (
            folder => folder.Vocabulary["xyz"] = -1,
            "model.vocab: \"xyz\": expected an id from 0 to 16777215, found -1"
        ),
        ["id of text"] = (folder => folder.Vocabulary["xyz"] = "1", "model.vocab: \"xyz\": expected an id"),
        ["giant id"] = (folder => folder.Vocabulary["xyz"] = int.MaxValue, "model.vocab: \"xyz\": expected an id"),
        ["shared id"] = (
            folder => folder.Vocabulary["xyz"] = 97,
            "model.vocab: \"a\" and \"xyz\" have the same id, 97"
        ),
        ["missing byte"] = (
            folder => folder.Vocabulary.Remove("Ġ"),
            "model.vocab: is not byte-level: it has no token \"Ġ\" for byte 0x20"
        ),
        ["no merges"] = (folder => folder.Model.Remove("merges"), "model.merges: expected a value, found nothing"),
        ["merge of nothing"] = (
            folder => folder.Model["merges"] = new JsonArray("a b", "a zz"),
            "model.merges[0]: the token \"ab\" is not in model.vocab"
        ),
        ["merge of three"] = (
            folder => folder.Model["merges"] = new JsonArray("a b c"),
            "model.merges[0]: expected two byte-level tokens, found \"a b c\""
        ),
        ["merge of one"] = (
            folder => folder.Model["merges"] = new JsonArray(new JsonArray("a")),
            "model.merges[0]: expected two byte-level tokens, found [\"a\"]"
        ),
        ["merge of a number"] = (
            folder => folder.Model["merges"] = new JsonArray(1),
            "model.merges[0]: expected a string, found 1"
        ),
        ["merges object"] = (
            folder => folder.Model["merges"] = new JsonObject(),
            "model.merges: expected a list, found {}"
        ),
        ["ignore_merges"] = (
            folder => folder.Model["ignore_merges"] = "yes",
            "model.ignore_merges: expected true or false, found \"yes\""
        ),
        ["normalizer"] = (
            folder => folder.Json["normalizer"] = new JsonObject { ["type"] = "NFC" },
            "normalizer: expected null: normalizers are not supported, found {\"type\":\"NFC\"}"
        ),
        ["no decoder"] = (folder => folder.Json["decoder"] = null, "decoder: expected a value, found nothing"),
        ["decoder"] = (
            folder => folder.Json["decoder"]!["type"] = "Metaspace",
            "decoder.type: expected ByteLevel, found \"Metaspace\""
        ),
        ["no pre-tokenizer"] = (
            folder => folder.Json["pre_tokenizer"] = null,
            "pre_tokenizer: expected a value, found nothing"
        ),
        ["pre-tokenizer"] = (
            folder => Step(folder)["type"] = "Digits",
            "pre_tokenizer.pretokenizers[0].type: expected Split, ByteLevel or Sequence, found \"Digits\""
        ),
        ["no ByteLevel"] = (
            folder => folder.Json["pre_tokenizer"] = TokenizerFolder.Split("a"),
            "pre_tokenizer: expected a ByteLevel step at the end, found none"
        ),
        ["step after ByteLevel"] = (
            folder => folder.Json["pre_tokenizer"]!["pretokenizers"]!.AsArray().Add(TokenizerFolder.Split("a")),
            "pre_tokenizer.pretokenizers[2]: a step after ByteLevel is not supported"
        ),
        ["behavior"] = (
            folder => Step(folder)["behavior"] = "MergedWithNext",
            "pre_tokenizer.pretokenizers[0].behavior: expected Isolated or Removed, found \"MergedWithNext\""
        ),
        ["pattern"] = (
            folder => Step(folder)["pattern"] = new JsonObject { ["Regex"] = "\\p{Han}+" },
            "pre_tokenizer.pretokenizers[0].pattern.Regex: cannot be used as a pattern: \\p{Han}"
        ),
        ["damaged pattern"] = (
            folder => Step(folder)["pattern"] = new JsonObject { ["Regex"] = "a{3,2}" },
            "pre_tokenizer.pretokenizers[0].pattern.Regex: cannot be used as a pattern"
        ),
        ["empty pattern"] = (
            folder => Step(folder)["pattern"] = new JsonObject { ["String"] = "" },
            "pre_tokenizer.pretokenizers[0].pattern.String: expected a pattern, found an empty one"
        ),
        ["no pattern"] = (
            folder => Step(folder)["pattern"] = new JsonObject(),
            "pre_tokenizer.pretokenizers[0].pattern: expected an object with Regex or String, found {}"
        ),
        ["post-processor"] = (
            folder => folder.Json["post_processor"] = new JsonObject { ["type"] = "RobertaProcessing" },
            "post_processor.type: expected TemplateProcessing, ByteLevel or Sequence, found \"RobertaProcessing\""
        ),
        ["template without text"] = (
            folder => folder.Json["post_processor"] = Template("[]", "{}"),
            "post_processor.single: expected a place for the sequence A, found []"
        ),
        ["template with B"] = (
            folder => folder.Json["post_processor"] = Template("[{\"Sequence\": {\"id\": \"B\"}}]", "{}"),
            "post_processor.single[0].Sequence: expected the sequence A, once"
        ),
        ["template token"] = (
            folder => folder.Json["post_processor"] = Template("[{\"SpecialToken\": {\"id\": \"<s>\"}}]", "{}"),
            "post_processor.special_tokens.<s>: expected a value, found nothing"
        ),
        ["template id"] = (
            folder =>
                folder.Json["post_processor"] = Template(
                    "[{\"SpecialToken\": {\"id\": \"<s>\"}}]",
                    "{\"<s>\": {\"ids\": [999]}}"
                ),
            "post_processor.special_tokens.<s>.ids[0]: expected the id of a token, found 999"
        ),
        ["added twice"] = (
            folder =>
            {
                folder.Add("<s>");
                folder.Add("<s>");
            },
            "added_tokens[1]: \"<s>\" is added twice"
        ),
        ["added id taken"] = (
            folder => Added(folder)["id"] = 97,
            "added_tokens[0]: the id 97 of \"<s>\" belongs to \"a\""
        ),
        ["added id differs"] = (
            folder => Added(folder)["content"] = "a",
            "added_tokens[0]: \"a\" has the id 256 here and 97 in model.vocab"
        ),
        ["added id negative"] = (folder => Added(folder)["id"] = -1, "added_tokens[0].id: expected an id from 0"),
        ["added nothing"] = (
            folder => Added(folder)["content"] = "",
            "added_tokens[0].content: expected a text, found \"\""
        ),
        ["added without flag"] = (
            folder => Added(folder).Remove("lstrip"),
            "added_tokens[0].lstrip: expected a value, found nothing"
        ),
    };

    public static TheoryData<string> DamageNames => [.. Damages.Keys];

    [Theory]
    [MemberData(nameof(DamageNames))]
    public void What_cannot_be_honoured_is_refused_by_name(string damage)
    {
        using var folder = new TokenizerFolder();
        Damages[damage].Damage(folder);

        var error = Assert.Throws<BambaFormatException>(() => folder.Load());

        Assert.Equal(folder.File, error.Path);
        Assert.StartsWith($"{folder.File}: {Damages[damage].Message}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"model\": ", "is not JSON")]
    [InlineData("", "is not JSON")]
    [InlineData("[]", "expected an object, found []")]
    [InlineData("{\"decoder\": {\"type\": \"\\ud800\"}}", "decoder.type: is not valid Unicode")]
    public void A_damaged_file_is_refused(string json, string problem)
    {
        using var folder = new TokenizerFolder();
        File.WriteAllText(folder.File, json);

        var error = Assert.Throws<BambaFormatException>(() => folder.LoadAsItIs());

        Assert.StartsWith($"{folder.File}: {problem}", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"b\": 98, \"b\": 98", "model.vocab: has the token \"b\" twice")]
    [InlineData("\"\\ud800\": 300", "model.vocab: has a token that is not valid Unicode")]
    public void A_vocabulary_that_no_writer_would_write_is_refused(string entries, string problem)
    {
        using var folder = new TokenizerFolder();
        File.WriteAllText(
            folder.File,
            folder.Json.ToJsonString().Replace("\"b\":98", entries, StringComparison.Ordinal)
        );

        var error = Assert.Throws<BambaFormatException>(() => folder.LoadAsItIs());

        Assert.StartsWith($"{folder.File}: {problem}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_merge_given_twice_is_refused()
    {
        using var folder = new TokenizerFolder(("a", "b"), ("a", "b"));

        var error = Assert.Throws<BambaFormatException>(() => folder.Load());

        Assert.Contains("model.merges[1]: \"a\" and \"b\" are merged twice", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_second_template_is_refused()
    {
        using var folder = new TokenizerFolder();
        const string text = "[{\"Sequence\": {\"id\": \"A\"}}]";
        folder.Json["post_processor"] = TokenizerFolder.Sequence(
            "processors",
            Template(text, "{}"),
            Template(text, "{}")
        );

        var error = Assert.Throws<BambaFormatException>(() => folder.Load());

        Assert.Contains("post_processor.processors[1]: a second template", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_is_refused()
    {
        using var folder = new TokenizerFolder();

        var error = Assert.Throws<BambaFormatException>(() => folder.LoadAsItIs());

        Assert.Equal($"{folder.File}: no such file", error.Message);
    }

    [Fact]
    public void Splitting_special_tokens_is_refused()
    {
        using var folder = new TokenizerFolder();
        folder.WriteConfig("{\"split_special_tokens\": false}");
        folder.Load();
        folder.WriteConfig("{\"split_special_tokens\": true}");

        var error = Assert.Throws<BambaFormatException>(() => folder.Load());

        Assert.Contains(
            "tokenizer_config.json: split_special_tokens: expected false",
            error.Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Null_arguments_are_refused()
    {
        using var folder = new TokenizerFolder();
        BambaTokenizer tokenizer = folder.Load();

        Assert.Throws<ArgumentNullException>(() => BambaTokenizer.Load(null!));
        Assert.Throws<ArgumentNullException>(() => tokenizer.Encode(null!));
        Assert.Throws<ArgumentNullException>(() => tokenizer.TokenId(null!));
    }

    private static JsonObject Step(TokenizerFolder folder) =>
        folder.Json["pre_tokenizer"]!["pretokenizers"]![0]!.AsObject();

    private static JsonObject Added(TokenizerFolder folder)
    {
        folder.Add("<s>");
        return folder.Json["added_tokens"]![0]!.AsObject();
    }

    private static JsonObject Template(string single, string specialTokens) =>
        new()
        {
            ["type"] = "TemplateProcessing",
            ["single"] = JsonNode.Parse(single),
            ["special_tokens"] = JsonNode.Parse(specialTokens),
        };
}
