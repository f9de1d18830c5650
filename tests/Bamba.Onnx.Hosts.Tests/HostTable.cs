using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hosts.Tests;

/// <summary>
/// The table of hosts in the README. Each test of a host that ran holds its row against what it saw, or writes it where the
/// environment says <c>BAMBA_ONNX_WRITE_README=1</c>; the row of a host that is not here stays as it was recorded.
/// </summary>
internal static class HostTable
{
    private const string Begin = "<!-- hosts -->";
    private const string End = "<!-- /hosts -->";
    private const string Write = "BAMBA_ONNX_WRITE_README";

    /// <summary>Whether the README is written instead of held against what tests see.</summary>
    public static bool IsWriting { get; } = Environment.GetEnvironmentVariable(Write) == "1";

    private static readonly Lock Writing = new();
    private static readonly string Path = System.IO.Path.Combine(TestData.Root, "README.md");

    /// <summary>The table's rows without its head, by host.</summary>
    public static IReadOnlyDictionary<string, string> Rows =>
        Lines(File.ReadAllText(Path)).Skip(2).ToDictionary(row => row.Split('|')[1].Trim());

    /// <summary>Says what a host did.</summary>
    /// <param name="host">Its name, the first column.</param>
    /// <param name="versions">What ran, with versions.</param>
    /// <param name="graph">The graph that it ran.</param>
    /// <param name="result">What it did.</param>
    public static void Saw(string host, string versions, string graph, string result)
    {
        string row = $"| {host} | {versions} | `{graph}` | {result} |";
        if (IsWriting)
        {
            Replace(host, row);
        }
        Assert.True(
            Rows.TryGetValue(host, out string? found) && found == row,
            $"README.md: expected the row\n{row}\nfound\n{found ?? "none"}\nRun the tests with {Write}=1 to write it."
        );
    }

    private static void Replace(string host, string row)
    {
        lock (Writing)
        {
            string text = File.ReadAllText(Path);
            string[] lines = Lines(text);
            int at = Array.FindIndex(lines, line => line.StartsWith($"| {host} |", StringComparison.Ordinal));
            string[] replaced = at < 0 ? [.. lines, row] : [.. lines[..at], row, .. lines[(at + 1)..]];
            File.WriteAllText(
                Path,
                text.Replace(string.Join('\n', lines), string.Join('\n', replaced), StringComparison.Ordinal)
            );
        }
    }

    private static string[] Lines(string text) =>
        text[
            (text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length)..text.IndexOf(End, StringComparison.Ordinal)
        ]
            .Trim('\n')
            .Split('\n');
}
