using System.Diagnostics;
using Bamba.Onnx.Testing;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

/// <summary>
/// A megabyte on one line, in the shapes that make tokenizers quadratic, takes well under a second. The limit is many times
/// that, for slow machines, and far below the minute that one quadratic step would take.
/// </summary>
public sealed class LargeInputTests
{
    private const int Megabyte = 1 << 20;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    private static readonly Dictionary<string, Func<string>> Inputs = new()
    {
        ["one letter"] = () => new string('a', Megabyte),
        ["one word"] = () => Letters("etaoinshrdlu", Megabyte),
        ["words"] = () => Letters("etaoinshr dlu\n", Megabyte),
        ["spaces"] = () => new string(' ', Megabyte) + "x",
        ["line breaks"] = () => string.Concat(Enumerable.Repeat(" \n", Megabyte / 2)),
        ["astral letters"] = () => string.Concat(Enumerable.Repeat("𝔘", Megabyte / 4)),
        ["beginnings of special tokens"] = () => string.Concat(Enumerable.Repeat("<|eot_id|", Megabyte / 9)),
        ["special tokens"] = () => string.Concat(Enumerable.Repeat("<|eot_id|>", Megabyte / 10)),
    };

    public static TheoryData<string> InputNames => [.. Inputs.Keys];

    [Theory]
    [MemberData(nameof(InputNames))]
    public void A_megabyte_takes_seconds_and_comes_back(string name)
    {
        BambaTokenizer tokenizer = BambaTokenizer.Load(TestData.TinyShakespeare);
        string text = Inputs[name]();
        var watch = Stopwatch.StartNew();

        int[] ids = tokenizer.Encode(text, addSpecialTokens: false);
        string back = tokenizer.Decode(ids, skipSpecialTokens: false);

        Assert.True(watch.Elapsed < Limit, $"took {watch.Elapsed}");
        Assert.True(text == back, "the text came back changed");
    }

    [Fact]
    public void A_megabyte_that_merges_takes_seconds()
    {
        using var folder = new TokenizerFolder(("a", "a"), ("aa", "aa"), ("aaaa", "aaaa"));
        BambaTokenizer tokenizer = folder.Load();
        var watch = Stopwatch.StartNew();

        int[] ids = tokenizer.Encode(new string('a', Megabyte));

        Assert.True(watch.Elapsed < Limit, $"took {watch.Elapsed}");
        Assert.Equal(Megabyte / 8, ids.Length);
    }

    [Fact]
    public void A_tokenizer_with_as_many_merges_as_Llama_3_takes_seconds_to_load()
    {
        string[] pairs =
        [
            .. "abcdefghijklmnopqrstuvwx".SelectMany(a => "abcdefghijklmnopqrstuvwx", (a, b) => $"{a}{b}"),
        ];
        using var folder = new TokenizerFolder([
            .. pairs.Select(pair => (pair[..1], pair[1..])),
            .. pairs.SelectMany(left => pairs, (left, right) => (left, right)).Take(280_000),
        ]);
        File.WriteAllText(folder.File, folder.Json.ToJsonString());
        var watch = Stopwatch.StartNew();

        BambaTokenizer tokenizer = folder.LoadAsItIs();

        Assert.True(watch.Elapsed < Limit, $"took {watch.Elapsed}");
        Assert.Equal([256 + 576], tokenizer.Encode("aaaa"));
    }

    private static string Letters(string alphabet, int count)
    {
        var random = new Random(25);
        return string.Create(
            count,
            random,
            (text, random) =>
            {
                for (int i = 0; i < text.Length; i++)
                {
                    text[i] = alphabet[random.Next(alphabet.Length)];
                }
            }
        );
    }
}
