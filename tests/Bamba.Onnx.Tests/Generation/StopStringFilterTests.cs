using System.Text;
using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Tests.Generation;

public sealed class StopStringFilterTests
{
    [Theory]
    [InlineData("aaab", "aab", "a")]
    [InlineData("aaaab", "aab", "aa")]
    [InlineData("abababc", "ababc", "ab")]
    [InlineData("aabaaabaaab", "aabaaab", "")]
    public void A_stop_string_that_overlaps_itself_is_found(string text, string stop, string shown)
    {
        Assert.Equal((shown, stop), Run(text, [stop]));
    }

    [Theory]
    [InlineData("xabcd", "abcd", "bc", "xa", "bc")]
    [InlineData("xabc", "bc", "abc", "x", "abc")]
    [InlineData("xabc", "ab", "abc", "x", "ab")]
    [InlineData("xabd", "abc", "bd", "xa", "bd")]
    [InlineData("xabx", "abc", "b", "xa", "b")]
    public void The_earliest_end_wins_and_of_equal_ends_the_longest(
        string text,
        string stop,
        string other,
        string shown,
        string stopped
    )
    {
        Assert.Equal((shown, stopped), Run(text, [stop, other]));
        Assert.Equal((shown, stopped), Run(text, [other, stop]));
    }

    [Fact]
    public void What_may_become_a_stop_string_is_withheld_until_it_cannot()
    {
        var filter = new StopStringFilter(new StopStrings(["</s>", "/x"]));

        Assert.Equal("a", filter.Append("a<"));
        Assert.Equal("", filter.Append("/"));
        Assert.Equal("</", filter.Append("/"));
        Assert.Equal("/s", filter.Append("s<"));
        Assert.Equal("<", filter.Flush());
        Assert.Equal("/s>", filter.Append("/s>"));
        Assert.Null(filter.Stopped);
    }

    [Fact]
    public void After_a_stop_string_nothing_comes_out()
    {
        var filter = new StopStringFilter(new StopStrings(["stop"]));

        Assert.Equal("go ", filter.Append("go stop go"));
        Assert.Equal("stop", filter.Stopped);
        Assert.Equal("", filter.Append("go"));
        Assert.Equal("", filter.Flush("go"));
        Assert.Equal("", filter.Append("go"));
        Assert.Equal("stop", filter.Stopped);
    }

    [Fact]
    public void Characters_that_share_a_half_are_not_taken_for_each_other()
    {
        var filter = new StopStringFilter(new StopStrings(["a😁", "😂b"]));

        Assert.Equal("a😀", filter.Append("a😀"));
        Assert.Equal("", filter.Append("😂"));
        Assert.Equal("😂", filter.Append("😂"));
        Assert.Equal("😂", filter.Append("a"));
        Assert.Equal("", filter.Append("😁"));
        Assert.Equal("a😁", filter.Stopped);
    }

    [Fact]
    public void Case_and_composition_count()
    {
        Assert.Equal(("STOP e\u0301", null), Run("STOP e\u0301", ["stop", "é"]));
        Assert.Equal(("STOP ", "e\u0301"), Run("STOP e\u0301", ["e\u0301"]));
    }

    [Fact]
    public void Sequences_share_their_stop_strings()
    {
        var stops = new StopStrings(["ab"]);
        var first = new StopStringFilter(stops);
        var second = new StopStringFilter(stops);

        Assert.Equal("", first.Append("a"));
        Assert.Equal("b", second.Append("b"));
        Assert.Equal("", first.Append("b"));
        Assert.Equal(("ab", null), (first.Stopped, second.Stopped));
    }

    [Fact]
    public void Stop_strings_that_are_empty_or_half_a_character_are_refused()
    {
        string?[] refused = ["", null, "a\uD83D", "\uDE00a", "\uDE00\uD83D"];
        foreach (string? stop in refused)
        {
            var error = Assert.Throws<ArgumentException>(() => new StopStrings(["fine", stop!]));

            Assert.Equal("strings", error.ParamName);
        }
    }

    [Fact]
    public void A_long_stop_string_takes_time_in_proportion_to_the_text()
    {
        // Every character but the last falls back through all of the withheld ones in a naive search.
        string stop = new string('a', 100_000) + "b";
        string text = new string('a', 400_000) + "b";

        Assert.Equal((text[..300_000], stop), Run(text, [stop]));
    }

    [Fact]
    public void Appending_allocates_nothing()
    {
        var stops = new StopStrings(["Friendly", "ends,", "men!", "your ears?"]);
        var filter = new StopStringFilter(stops);
        const string text = "Friends; Romans, countrymen, lend me your ears.";
        Drain(filter, text);

        // The least of several rounds: the runtime's own work on this thread is not the filter's.
        long least = Enumerable.Range(0, 10).Min(_ => Drain(filter, text));

        Assert.Equal(0, least);
        Assert.Null(filter.Stopped);
    }

    private static long Drain(StopStringFilter filter, string text)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < text.Length; i += 3)
        {
            filter.Append(text.AsSpan(i, Math.Min(3, text.Length - i)));
        }
        filter.Flush();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    /// <summary>What is shown of a text that comes in one piece, and the same text character by character.</summary>
    private static (string Shown, string? Stopped) Run(string text, string[] strings)
    {
        var stops = new StopStrings(strings);
        var filter = new StopStringFilter(stops);
        string atOnce = string.Concat(filter.Append(text), filter.Flush());

        var filterOfCharacters = new StopStringFilter(stops);
        var shown = new StringBuilder();
        foreach (char character in text)
        {
            shown.Append(filterOfCharacters.Append([character]));
        }
        shown.Append(filterOfCharacters.Flush());
        Assert.Equal((atOnce, filter.Stopped), (shown.ToString(), filterOfCharacters.Stopped));
        return (atOnce, filter.Stopped);
    }
}
