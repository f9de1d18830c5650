namespace Bamba.Onnx.Hosts.Tests;

public sealed class HostTableTests
{
    /// <summary>Every host with a test, in the README's order.</summary>
    private static readonly string[] Hosts =
    [
        "C#",
        "Python",
        "Node",
        "transformers.js in Node",
        "browser",
        "ONNX Runtime GenAI",
        "ONNX Runtime GenAI with `bamba_ops`",
    ];

    [Fact]
    public void The_README_has_a_row_for_every_host() => Assert.Equal(Hosts, HostTable.Rows.Keys);

    [Fact]
    public void A_row_that_says_something_else_is_an_error()
    {
        Assert.SkipWhen(HostTable.IsWriting, "the README is being written");
        string row = HostTable.Rows["C#"];
        string[] cells = [.. row.Split('|').Select(cell => cell.Trim())];
        HostTable.Saw("C#", cells[2], cells[3].Trim('`'), cells[4]);
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() =>
            HostTable.Saw("C#", $"{cells[2]}.1", cells[3].Trim('`'), cells[4])
        );
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => HostTable.Saw("Cobol", "1", "model.onnx", "nothing"));
    }
}
