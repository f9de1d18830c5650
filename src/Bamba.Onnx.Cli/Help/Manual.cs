using System.CommandLine;

namespace Bamba.Onnx.Cli.Help;

/// <summary>
/// What a command's help says after its options: sections such as EXAMPLES and EXIT STATUS. A command's manual is the text
/// <c>Manuals/NAME.txt</c>: a section's title stands in capitals on a line of its own; below it <c>$ …</c> is a command, left
/// as it is, <c>term | text</c> a row of two columns, and all else prose; an empty line ends a paragraph.
/// </summary>
internal sealed class Manual
{
    private const string Indent = "  ";
    private const string CommandMark = "$ ";
    private const string ColumnMark = " | ";
    private const int WidestTerm = 28;

    private readonly string[] lines;

    private Manual(string text)
    {
        lines = text.TrimEnd('\n').Split('\n');
    }

    /// <summary>The manual of a command; null where nobody wrote one.</summary>
    public static Manual? Of(Command command)
    {
        string name = command is RootCommand ? "bamba-onnx" : command.Name;
        return EmbeddedText.Find($"manual.{name}") is { } text ? new Manual(text) : null;
    }

    /// <summary>The manual's lines, prose wrapped to <paramref name="width"/> columns.</summary>
    public IEnumerable<string> Render(int width)
    {
        int start = 0;
        while (start < lines.Length)
        {
            string line = lines[start];
            int end = start + 1;
            if (line.Length == 0 || IsTitle(line))
            {
                yield return line;
            }
            else if (line.StartsWith(CommandMark, StringComparison.Ordinal))
            {
                // Broken in two, a command could not be copied.
                yield return $"{Indent}{Indent}{line}";
            }
            else
            {
                bool rows = IsRow(line);
                end =
                    Enumerable
                        .Range(start, lines.Length - start)
                        .First(i => i == lines.Length - 1 || !Continues(lines[i + 1], rows)) + 1;
                foreach (string wrapped in rows ? Table(lines[start..end], width) : Prose(lines[start..end], width))
                {
                    yield return wrapped;
                }
            }
            start = end;
        }
    }

    private static bool Continues(string line, bool rows) =>
        line.Length > 0
        && !line.StartsWith(CommandMark, StringComparison.Ordinal)
        && !IsTitle(line)
        && IsRow(line) == rows;

    private static bool IsTitle(string line) => line.All(c => c is ' ' or (>= 'A' and <= 'Z'));

    private static bool IsRow(string line) => line.Contains(ColumnMark, StringComparison.Ordinal);

    private static IEnumerable<string> Prose(string[] lines, int width) =>
        Wrap(string.Join(' ', lines), width - Indent.Length).Select(line => Indent + line);

    private static IEnumerable<string> Table(string[] rows, int width)
    {
        (string Term, string Text)[] cells =
        [
            .. rows.Select(row => row.Split(ColumnMark, 2)).Select(parts => (parts[0].Trim(), parts[1].Trim())),
        ];
        int column = Math.Min(WidestTerm, cells.Max(cell => cell.Term.Length)) + Indent.Length;
        string blank = new(' ', Indent.Length + column);
        foreach ((string term, string text) in cells)
        {
            string[] wrapped = [.. Wrap(text, width - blank.Length)];
            if (term.Length + Indent.Length > column)
            {
                yield return Indent + term;
                wrapped = [.. wrapped.Select(line => blank + line)];
            }
            else
            {
                wrapped = [Indent + term.PadRight(column) + wrapped[0], .. wrapped[1..].Select(line => blank + line)];
            }
            foreach (string line in wrapped)
            {
                yield return line;
            }
        }
    }

    /// <summary>Lines of whole words; a word longer than a line gets one to itself.</summary>
    private static IEnumerable<string> Wrap(string text, int width)
    {
        string line = "";
        foreach (string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                yield return line;
                line = "";
            }
            line += line.Length == 0 ? word : $" {word}";
        }
        yield return line;
    }
}
