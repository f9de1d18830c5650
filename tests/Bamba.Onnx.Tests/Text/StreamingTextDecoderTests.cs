using System.Text;
using Bamba.Onnx.Testing;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Tests.Text;

public sealed class StreamingTextDecoderTests
{
    private static readonly BambaTokenizer Tokenizer = BambaTokenizer.Load(TestData.TinyShakespeare);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Any_ids_one_by_one_give_what_decoding_them_whole_gives(bool skipSpecialTokens)
    {
        var random = new Random(20);
        for (int round = 0; round < 2_000; round++)
        {
            int[] ids = RandomIds(random);

            Assert.Equal(Tokenizer.Decode(ids, skipSpecialTokens), Stream(ids, skipSpecialTokens));
        }
    }

    [Fact]
    public void Text_one_token_at_a_time_comes_back_whole()
    {
        var random = new Random(21);
        for (int round = 0; round < 500; round++)
        {
            string text = RandomText.Create(random, random.Next(60));

            Assert.Equal(text, Stream(Tokenizer.Encode(text), skipSpecialTokens: true));
        }
    }

    [Fact]
    public void A_character_comes_with_its_last_byte_and_not_before()
    {
        StreamingTextDecoder decoder = Tokenizer.CreateStreamingDecoder();
        int[] ids = Tokenizer.Encode("😀", addSpecialTokens: false);

        Assert.Equal(4, ids.Length);
        Assert.Equal("", decoder.Append(ids[0]));
        Assert.Equal("", decoder.Append(ids[1]));
        Assert.Equal("", decoder.Append(ids[2]));
        Assert.Equal("😀", decoder.Append(ids[3]));
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void A_broken_tail_is_one_replacement_character()
    {
        StreamingTextDecoder decoder = Tokenizer.CreateStreamingDecoder();
        foreach (int id in Tokenizer.Encode("é😀", addSpecialTokens: false)[..^1])
        {
            decoder.Append(id);
        }

        Assert.Equal("\uFFFD", decoder.Flush());
        Assert.Equal("", decoder.Flush());
    }

    [Fact]
    public void A_special_token_inside_a_character_breaks_it_only_where_it_is_shown()
    {
        int end = Tokenizer.TokenId("<|eot_id|>")!.Value;
        int[] halves = Tokenizer.Encode("é", addSpecialTokens: false);
        int[] ids = [halves[0], end, halves[1]];

        Assert.Equal("é", Stream(ids, skipSpecialTokens: true));
        Assert.Equal("\uFFFD<|eot_id|>\uFFFD", Stream(ids, skipSpecialTokens: false));
    }

    [Fact]
    public void After_flush_the_decoder_is_as_new()
    {
        StreamingTextDecoder decoder = Tokenizer.CreateStreamingDecoder();
        decoder.Append(Tokenizer.Encode("é", addSpecialTokens: false)[0]);
        decoder.Flush();

        Assert.Equal("a", decoder.Append(Tokenizer.TokenId("a")!.Value));
    }

    [Fact]
    public void Ids_without_a_token_add_nothing_and_negative_ones_are_refused()
    {
        StreamingTextDecoder decoder = Tokenizer.CreateStreamingDecoder();

        Assert.Equal("", decoder.Append(Tokenizer.VocabSize));
        Assert.Equal("", Tokenizer.Decode([int.MaxValue]));
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => _ = decoder.Append(-7));
        Assert.Contains("-7", error.Message, StringComparison.Ordinal);
        Assert.Contains("0 to 2047", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => Tokenizer.Decode([1, -1]));
    }

    [Fact]
    public void Appending_allocates_nothing()
    {
        StreamingTextDecoder decoder = Tokenizer.CreateStreamingDecoder();
        int[] ids = Tokenizer.Encode("Friends, Romans, countrymen 😀 é, lend me your ears.");
        Drain(decoder, ids);

        // The least of several rounds: the runtime's own work on this thread is not the decoder's.
        long least = Enumerable.Range(0, 10).Min(_ => Drain(decoder, ids));

        Assert.Equal(0, least);
    }

    private static long Drain(StreamingTextDecoder decoder, int[] ids)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        foreach (int id in ids)
        {
            decoder.Append(id);
        }
        decoder.Flush();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    /// <summary>Half of the ids are single bytes from 0x80 on, so that broken characters of every kind appear.</summary>
    private static int[] RandomIds(Random random)
    {
        int[] highBytes =
        [
            .. Enumerable
                .Range(128, 128)
                .Select(b => Tokenizer.TokenId(ByteAlphabet.ToChar((byte)b).ToString())!.Value),
        ];
        return
        [
            .. Enumerable
                .Range(0, random.Next(40))
                .Select(_ =>
                    random.Next(2) == 0
                        ? highBytes[random.Next(highBytes.Length)]
                        : random.Next(Tokenizer.VocabSize + 10)
                ),
        ];
    }

    private static string Stream(int[] ids, bool skipSpecialTokens)
    {
        StreamingTextDecoder decoder = Tokenizer.CreateStreamingDecoder(skipSpecialTokens);
        var text = new StringBuilder();
        foreach (int id in ids)
        {
            text.Append(decoder.Append(id));
        }
        return text.Append(decoder.Flush()).ToString();
    }
}
