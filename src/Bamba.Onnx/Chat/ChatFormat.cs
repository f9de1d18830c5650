using System.Collections.Immutable;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Chat;

/// <summary>
/// How a conversation is written for a model. A checkpoint says it by a Jinja template; here templates are not run but
/// recognized by their marks, and the format that they stand for is written by this library. Default system prompts and tools
/// of a template are no part of it.
/// </summary>
public sealed class ChatFormat
{
    private ChatFormat(string name, ChatMarkup? markup)
    {
        Name = name;
        Markup = markup;
    }

    /// <summary>No marks at all: what is said is continued, line after line, as a base model does.</summary>
    public static ChatFormat Plain { get; } = new("plain", null);

    /// <summary>ChatML: <c>&lt;|im_start|&gt;user</c>, a line break, the text, <c>&lt;|im_end|&gt;</c>.</summary>
    public static ChatFormat ChatMl { get; } =
        new("chatml", new ChatMarkup(null, "<|im_start|>", null, "\n", "<|im_end|>", "\n", TrimsText: false));

    /// <summary>Llama 3: <c>&lt;|start_header_id|&gt;user&lt;|end_header_id|&gt;</c>, an empty line, the text, <c>&lt;|eot_id|&gt;</c>.</summary>
    public static ChatFormat Llama3 { get; } =
        new(
            "llama3",
            new ChatMarkup(
                "<|begin_of_text|>",
                "<|start_header_id|>",
                "<|end_header_id|>",
                "\n\n",
                "<|eot_id|>",
                "",
                TrimsText: true
            )
        );

    /// <summary>Granite 3 and 4: <c>&lt;|start_of_role|&gt;user&lt;|end_of_role|&gt;</c>, the text, <c>&lt;|end_of_text|&gt;</c>.</summary>
    public static ChatFormat Granite { get; } =
        new(
            "granite",
            new ChatMarkup(null, "<|start_of_role|>", "<|end_of_role|>", "", "<|end_of_text|>", "\n", TrimsText: false)
        );

    /// <summary>All formats.</summary>
    public static ImmutableArray<ChatFormat> All { get; } = [Plain, ChatMl, Llama3, Granite];

    /// <summary>Its name: <c>plain</c>, <c>chatml</c>, <c>llama3</c> or <c>granite</c>.</summary>
    public string Name { get; }

    /// <summary>The special token before the first turn; null where there is none or, as in plain text, the tokenizer says it.</summary>
    public string? BeginToken => Markup?.Begin;

    internal ChatMarkup? Markup { get; }

    /// <summary>The format of a name.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static ChatFormat Named(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return All.FirstOrDefault(format => format.Name == name)
            ?? throw new ArgumentException($"expected {Names()}, found {name}", nameof(name));
    }

    /// <summary>The format that a template writes; null where it bears the marks of none, or of several.</summary>
    /// <param name="template">A chat template, Jinja.</param>
    public static ChatFormat? Recognize(string template)
    {
        ArgumentNullException.ThrowIfNull(template);
        ChatFormat[] found =
        [
            .. All.Where(format =>
                format.Markup is { } markup && template.Contains(markup.Open, StringComparison.Ordinal)
            ),
        ];
        return found is [var only] ? only : null;
    }

    /// <summary>The format of a model folder, by its template; <see cref="Plain"/> where it has none.</summary>
    /// <param name="folder">A folder with <c>chat_template.jinja</c>, or a <c>chat_template</c> in <c>tokenizer_config.json</c>.</param>
    /// <exception cref="BambaFormatException">The template is of no format known here, or a file is damaged.</exception>
    public static ChatFormat Load(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        if (ChatTemplate.Find(folder) is not { } template)
        {
            return Plain;
        }
        ChatFormat format =
            Recognize(template.Text)
            ?? throw new BambaFormatException(
                template.File,
                $"expected a chat template with the marks of {Marks()}, found another; choose the format by its name, --format {Names()} on the command line"
            );
        return template.BeginToken is { } token ? format.BeginningWith(token) : format;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>The format with another token before the first turn.</summary>
    internal ChatFormat BeginningWith(string? token) =>
        Markup is null ? this : new ChatFormat(Name, Markup with { Begin = token });

    private static string Marks() =>
        string.Join(
            ", ",
            All.Where(format => format.Markup is not null).Select(format => $"{format.Name} ({format.Markup!.Open})")
        );

    private static string Names() => $"{string.Join(", ", All[..^1].Select(format => format.Name))} or {All[^1].Name}";
}
