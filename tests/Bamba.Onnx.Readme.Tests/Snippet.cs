using System.Text.RegularExpressions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Readme.Tests;

/// <summary>A fenced block of README.md.</summary>
/// <param name="Line">Where its text begins.</param>
/// <param name="Language">What its fence says.</param>
/// <param name="Text">Its lines.</param>
internal sealed partial record Snippet(int Line, string Language, string Text)
{
    /// <summary>All blocks, in their order.</summary>
    public static IReadOnlyList<Snippet> All { get; } =
        Read(File.ReadAllText(Path.Combine(TestData.Root, "README.md")));

    /// <summary>The line of every block of a language, which tells a test's cases apart.</summary>
    /// <param name="language">The language.</param>
    /// <param name="except">The text of a block to leave out.</param>
    public static TheoryData<int> LinesOf(string language, string? except = null) =>
        [
            .. All.Where(snippet => snippet.Language == language && snippet.Text != except)
                .Select(snippet => snippet.Line),
        ];

    public static Snippet At(int line) => All.Single(snippet => snippet.Line == line);

    private static IReadOnlyList<Snippet> Read(string markdown) =>
        [
            .. Fence()
                .Matches(markdown)
                .Select(match => new Snippet(
                    markdown.AsSpan(0, match.Groups["text"].Index).Count('\n') + 1,
                    match.Groups["language"].Value,
                    match.Groups["text"].Value
                )),
        ];

    [GeneratedRegex(@"^```(?<language>\w*)\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();
}
