using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Testing;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

public sealed class BpeModelTests
{
    private static readonly (string, string)[] DoublingMerges =
    [
        ("a", "a"),
        ("aa", "aa"),
        ("aaaa", "aaaa"),
        ("a", "b"),
    ];

    [Fact]
    public void A_long_word_has_the_tokens_that_the_library_would_give_it()
    {
        BpeModel model = ReadTinyShakespeare();
        var random = new Random(23);
        for (int round = 0; round < 500; round++)
        {
            byte[] word = RandomWord(random, "thearnd oisl", 1 + random.Next(512));
            var expected = new List<int>();
            var ids = new List<int>();

            model.Encode(Encoding.UTF8.GetString(word), expected);
            model.EncodeLong(word, ids);

            Assert.Equal(expected, ids);
        }
    }

    [Theory]
    [InlineData(511)]
    [InlineData(512)]
    [InlineData(513)]
    [InlineData(1027)]
    public void Merging_does_not_change_where_words_become_long(int length)
    {
        using var folder = new TokenizerFolder(DoublingMerges);
        BambaTokenizer tokenizer = folder.Load();

        int[] ids = tokenizer.Encode(new string('a', length));

        int eight = tokenizer.TokenId("aaaaaaaa")!.Value;
        int[] rest =
        [
            .. new[] { "aaaa", "aa", "a" }
                .Where(t => (length & t.Length) != 0)
                .Select(t => tokenizer.TokenId(t)!.Value),
        ];
        Assert.Equal([.. Enumerable.Repeat(eight, length / 8), .. rest], ids);
    }

    [Fact]
    public void Ignoring_merges_takes_a_word_that_is_a_token_whole()
    {
        // Merges reach "ab" and "bc" but never "abc".
        using var folder = new TokenizerFolder(("b", "c"), ("a", "b"));
        folder.Vocabulary["abc"] = 258;
        int[] merged = folder.Load().Encode("abc");
        folder.Model["ignore_merges"] = true;
        BambaTokenizer ignoring = folder.Load();

        Assert.Equal(['a', 256], merged);
        Assert.Equal([258], ignoring.Encode("abc"));
        Assert.Equal(merged, ignoring.Encode("abcx")[..2]);
    }

    [Fact]
    public void Merges_may_be_strings_or_pairs()
    {
        using var folder = new TokenizerFolder(("a", "b"), ("ab", "c"), ("Ġ", "abc"));
        int[] pairs = folder.Load().Encode("abc abcab");
        folder.Model["merges"] = new JsonArray("a b", "ab c", "Ġ abc");

        Assert.Equal([257, 258, 256], pairs);
        Assert.Equal(pairs, folder.Load().Encode("abc abcab"));
    }

    [Fact]
    public void Every_byte_has_a_token_and_every_text_comes_back()
    {
        using var folder = new TokenizerFolder();
        BambaTokenizer tokenizer = folder.Load();
        var random = new Random(24);
        for (int round = 0; round < 500; round++)
        {
            string text = RandomText.Create(random, random.Next(50));
            int[] ids = tokenizer.Encode(text);

            Assert.Equal(Encoding.UTF8.GetBytes(text).Select(b => (int)b), ids);
            Assert.Equal(text, tokenizer.Decode(ids));
        }
    }

    [Fact]
    public void Threads_may_share_a_tokenizer()
    {
        BambaTokenizer tokenizer = BambaTokenizer.Load(TestData.TinyShakespeare);
        BambaTokenizer shared = BambaTokenizer.Load(TestData.TinyShakespeare);
        string[] texts = [.. Enumerable.Range(0, 64).Select(seed => RandomText.Create(new Random(seed), 200))];
        int[][] expected = [.. texts.Select(text => tokenizer.Encode(text))];
        var found = new int[texts.Length][];

        Parallel.For(0, texts.Length, i => found[i] = shared.Encode(texts[i]));

        Assert.Equal(expected, found);
    }

    private static byte[] RandomWord(Random random, string letters, int length) =>
        [.. Enumerable.Range(0, length).Select(_ => (byte)letters[random.Next(letters.Length)])];

    private static BpeModel ReadTinyShakespeare()
    {
        string path = Path.Combine(TestData.TinyShakespeare, ModelFiles.Tokenizer);
        using var json = JsonDocument.Parse(File.ReadAllBytes(path));
        return BpeReader.Read(new JsonAt(json.RootElement.GetProperty("model"), path, "model"));
    }
}
