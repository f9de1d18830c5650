using System.Text;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Testing;
using Bamba.Onnx.Tests.Text;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Generation;

/// <summary>Random tokens and stop strings, compared after every token with a search that looks at all of the text so far.</summary>
public sealed class StoppingTextDecoderTests
{
    private static readonly BambaTokenizer Tokenizer = BambaTokenizer.Load(TestData.TinyShakespeare);

    [Fact]
    public void Texts_in_tokens_of_a_tokenizer_are_shown_up_to_the_first_stop_string()
    {
        var random = new Random(30);
        var tally = new Tally();
        for (int round = 0; round < 4_000; round++)
        {
            string text = RandomText.Create(random, random.Next(40));
            int[] ids = Tokenizer.Encode(text);
            if (random.Next(2) == 0)
            {
                // Tokens from anywhere in the vocabulary, many of them parts of characters that now have no rest.
                ids = [.. ids.Select(id => random.Next(4) == 0 ? random.Next(Tokenizer.VocabSize) : id)];
            }
            string[] stops = RandomStopStrings.Create(random, Tokenizer.Decode(ids));

            Check(ids, stops, () => Tokenizer.CreateStreamingDecoder(), tally);
        }
        tally.AssertThatAllKindsOccurred();
    }

    [Fact]
    public void Texts_split_at_any_byte_are_shown_up_to_the_first_stop_string()
    {
        var random = new Random(31);
        var tally = new Tally();
        for (int round = 0; round < 4_000; round++)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(RandomText.Create(random, random.Next(30)));
            if (random.Next(2) == 0)
            {
                for (int damage = bytes.Length / 8; damage > 0; damage--)
                {
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                }
            }
            (int[] ids, TokenBytes tokens) = Split(bytes, random);
            string[] stops = RandomStopStrings.Create(random, Encoding.UTF8.GetString(bytes));

            Check(ids, stops, () => new StreamingTextDecoder(tokens, skipSpecialTokens: true), tally);
        }
        tally.AssertThatAllKindsOccurred();
    }

    [Fact]
    public void Texts_of_few_letters_are_shown_up_to_the_first_stop_string()
    {
        var random = new Random(32);
        var tally = new Tally();
        for (int round = 0; round < 4_000; round++)
        {
            string text = RandomStopStrings.FewLetters(random, 30);
            (int[] ids, TokenBytes tokens) = Split(Encoding.UTF8.GetBytes(text), random);
            string[] stops =
            [
                .. Enumerable.Range(0, random.Next(1, 6)).Select(_ => RandomStopStrings.FewLetters(random, 7)),
            ];

            Check(ids, stops, () => new StreamingTextDecoder(tokens, skipSpecialTokens: true), tally);
        }
        tally.AssertThatAllKindsOccurred();
    }

    [Fact]
    public void Without_stop_strings_the_text_of_the_decoder_comes_through_as_it_is()
    {
        StreamingTextDecoder inner = Tokenizer.CreateStreamingDecoder();
        foreach (StopStrings? none in (StopStrings?[])[null, new StopStrings([])])
        {
            var decoder = new StoppingTextDecoder(inner, none);
            int[] ids = Tokenizer.Encode("é", addSpecialTokens: false);

            Assert.Equal("", decoder.Append(ids[0]));
            Assert.Equal("é", decoder.Append(ids[1]));
            Assert.Equal("", decoder.Append(ids[0]));
            Assert.Equal("\uFFFD", decoder.Flush());
            Assert.Null(decoder.Stopped);
        }
    }

    [Fact]
    public void The_replacement_of_a_broken_end_can_complete_a_stop_string()
    {
        var decoder = new StoppingTextDecoder(Tokenizer.CreateStreamingDecoder(), new StopStrings(["b\uFFFD"]));
        decoder.Append(Tokenizer.TokenId("a")!.Value);
        decoder.Append(Tokenizer.TokenId("b")!.Value);
        decoder.Append(Tokenizer.Encode("é", addSpecialTokens: false)[0]);

        Assert.Equal("", decoder.Flush());
        Assert.Equal("b\uFFFD", decoder.Stopped);
    }

    private static void Check(int[] ids, string[] strings, Func<StreamingTextDecoder> create, Tally tally)
    {
        var decoder = new StoppingTextDecoder(create(), new StopStrings(strings));
        StreamingTextDecoder reference = create();
        var whole = new StringBuilder();
        var shown = new StringBuilder();
        foreach (int id in ids)
        {
            bool stoppedBefore = decoder.Stopped is not null;
            int lengthBefore = whole.Length;
            whole.Append(reference.Append(id));
            Take(decoder.Append(id));

            (string visible, string? stop) = NaiveStopSearch.Cut(whole.ToString(), strings);
            int withheld = stop is null ? NaiveStopSearch.LongestBeginningAtEnd(visible, strings) : 0;
            Assert.Equal(visible[..^withheld], shown.ToString());
            Assert.Equal(stop, decoder.Stopped);
            tally.Withheld += withheld > 0 ? 1 : 0;
            tally.StoppedAcrossTokens += stop is not null && !stoppedBefore && visible.Length < lengthBefore ? 1 : 0;
        }
        whole.Append(reference.Flush());
        Take(decoder.Flush());

        Assert.Equal(NaiveStopSearch.Cut(whole.ToString(), strings), (shown.ToString(), decoder.Stopped));
        tally.Stopped += decoder.Stopped is null ? 0 : 1;
        tally.NotStopped += decoder.Stopped is null ? 1 : 0;

        void Take(ReadOnlySpan<char> piece)
        {
            // Runes have the replacement character for half a surrogate pair.
            Assert.Equal(string.Concat(piece.ToString().EnumerateRunes()), piece.ToString());
            shown.Append(piece);
        }
    }

    /// <summary>Tokens of 1 to 6 bytes that together are the text, and a vocabulary that has them.</summary>
    private static (int[] Ids, TokenBytes Tokens) Split(byte[] text, Random random)
    {
        var vocabulary = new Dictionary<string, int> { ["a"] = 0 };
        var ids = new List<int>();
        for (int start = 0; start < text.Length; )
        {
            int length = Math.Min(random.Next(1, 7), text.Length - start);
            string token = string.Concat(text.AsSpan(start, length).ToArray().Select(ByteAlphabet.ToChar));
            vocabulary.TryAdd(token, vocabulary.Count);
            ids.Add(vocabulary[token]);
            start += length;
        }
        return ([.. ids], new TokenBytes(vocabulary, []));
    }

    /// <summary>What the random cases were, so that they cannot all come to be of one kind.</summary>
    private sealed class Tally
    {
        public int Stopped { get; set; }

        public int NotStopped { get; set; }

        public int Withheld { get; set; }

        public int StoppedAcrossTokens { get; set; }

        public void AssertThatAllKindsOccurred()
        {
            Assert.All(
                [Stopped, NotStopped, Withheld, StoppedAcrossTokens],
                count => Assert.True(count > 200, $"{count}")
            );
        }
    }
}
