namespace Bamba.Onnx.Hub.Tests;

public sealed class HubModelIdTests
{
    [Theory]
    [InlineData("lab/model", null, "main")]
    [InlineData("lab/model@v1.0", null, "v1.0")]
    [InlineData("lab/model", "refs/pr/3", "refs/pr/3")]
    [InlineData("lab/model@abc", "abc", "abc")]
    public void A_revision_may_stand_in_the_id_or_beside_it(string text, string? revision, string expected)
    {
        var id = HubModelId.Parse(text, revision);
        Assert.Equal(("lab/model", expected), (id.Repository, id.Revision));
    }

    [Theory]
    [InlineData("model", "expected owner/name")]
    [InlineData("a/b/c", "expected owner/name")]
    [InlineData("/b", "owner: expected 1 to 96 characters, found 0")]
    [InlineData("../b", "owner: '..' begins or ends with '-' or '.'")]
    [InlineData("a/b c", "name: expected letters, digits, '-', '_' and '.', found 'b c'")]
    [InlineData("a/b--c", "name: 'b--c' contains '--' or '..'")]
    [InlineData("a/b.git", "name: 'b.git' ends with .git")]
    [InlineData("a/b@../../x", "revision: '../../x' is no name of a branch, tag or commit")]
    [InlineData("a/b@", "revision: '' is no name of a branch, tag or commit")]
    [InlineData("a/b@x.lock", "revision: 'x.lock' is no name of a branch, tag or commit")]
    public void What_is_no_id_is_refused_with_the_reason(string text, string problem)
    {
        Assert.False(HubModelId.TryParse(text, null, out _, out string? found));
        Assert.Equal(problem, found);
    }

    [Fact]
    public void Two_revisions_are_refused() =>
        Assert.Contains(
            "two revisions are given, 'x' and 'y'",
            Assert.Throws<ArgumentException>(() => HubModelId.Parse("a/b@x", "y")).Message
        );

    [Theory]
    [InlineData("lab/model", "lab/model")]
    [InlineData("lab/model@main", "lab/model")]
    [InlineData("lab/model@v2", "lab/model@v2")]
    public void An_id_is_written_as_it_is_read(string text, string expected) =>
        Assert.Equal(expected, HubModelId.Parse(text).ToString());
}
