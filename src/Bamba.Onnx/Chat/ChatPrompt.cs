using Bamba.Onnx.Contract;
using Bamba.Onnx.Text;

namespace Bamba.Onnx.Chat;

/// <summary>
/// Writes turns as tokens. Marks go in by their ids and texts as nothing but text, so that marks typed by a user mark nothing;
/// a text and what the format puts right before it are encoded as one, as they are where the whole conversation is.
/// </summary>
internal sealed class ChatPrompt
{
    private const string System = "system";
    private const string User = "user";
    private const string Assistant = "assistant";

    private readonly BambaTokenizer tokenizer;
    private readonly ChatMarkup? markup;

    /// <exception cref="BambaException">A mark of the format is no special token of the tokenizer.</exception>
    public ChatPrompt(ChatFormat format, BambaTokenizer tokenizer)
    {
        Format = format;
        this.tokenizer = tokenizer;
        markup = format.Markup;
        foreach (string? mark in (string?[])[markup?.Begin, markup?.Open, markup?.CloseRole, markup?.End])
        {
            // A mark that is an ordinary token would be recognized in what a user types.
            if (mark is not null && !(tokenizer.TokenId(mark) is { } id && tokenizer.IsSpecial(id)))
            {
                throw new BambaException(
                    $"the chat format {format} needs the special token {mark}, which the model's tokenizer does not have"
                );
            }
        }
    }

    public ChatFormat Format { get; }

    /// <summary>The token that ends a turn; null where the format has none.</summary>
    public int? EndOfTurn => markup is null ? null : Id(markup.End);

    /// <summary>Everything up to the first answer.</summary>
    public int[] First(string? system, string user)
    {
        if (markup is null)
        {
            return [.. tokenizer.Prefix, .. Text(system is null ? user : $"{system}\n{user}")];
        }
        int[] begin = markup.Begin is { } token ? [Id(token)] : [];
        int[] systemTurn = system is null ? [] : [.. Turn(System, system), .. EndTurn()];
        return [.. begin, .. systemTurn, .. Asked(user)];
    }

    /// <summary>Everything from the end of an answer's text up to the next answer.</summary>
    /// <param name="before">What the conversation's text ends with.</param>
    /// <param name="user">What is said now.</param>
    public int[] Next(string before, string user) =>
        markup is null ? Text(before.EndsWith('\n') ? user : $"\n{user}") : [.. EndTurn(), .. Asked(user)];

    private int[] Asked(string user) => [.. Turn(User, user), .. EndTurn(), .. Turn(Assistant, "")];

    private int[] Turn(string role, string text)
    {
        string body = markup!.BeforeText + (markup.TrimsText ? text.Trim() : text);
        return markup.CloseRole is { } close
            ? [Id(markup.Open), .. Text(role), Id(close), .. Text(body)]
            : [Id(markup.Open), .. Text(role + body)];
    }

    private int[] EndTurn() => [Id(markup!.End), .. Text(markup.AfterEnd)];

    private int[] Text(string text) => tokenizer.EncodeLiteral(text);

    private int Id(string mark) => tokenizer.TokenId(mark)!.Value;
}
