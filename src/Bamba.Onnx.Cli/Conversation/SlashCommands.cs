using System.Globalization;
using Bamba.Onnx.Chat;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Cli.Conversation;

/// <summary>What a line that begins with a slash does.</summary>
internal sealed class SlashCommands
{
    /// <summary>What to do about a full context.</summary>
    public const string MakeRoom = "/undo or /clear makes room";

    private readonly CliConsole console;
    private readonly ChatSession chat;
    private readonly SlashCommand[] all;

    /// <param name="console">Where answers go.</param>
    /// <param name="chat">The conversation.</param>
    /// <param name="retry">Answers the last turn anew.</param>
    public SlashCommands(CliConsole console, ChatSession chat, Func<CancellationToken, Task> retry)
    {
        this.console = console;
        this.chat = chat;
        all =
        [
            new("help", null, "list the commands", (_, _) => HelpAsync()),
            new("history", null, "show the conversation", (_, _) => HistoryAsync()),
            new("undo", null, "take the last turn back; again for the one before", (_, token) => UndoAsync(token)),
            new("retry", null, "take the last answer back and ask for another", (_, token) => retry(token)),
            new("clear", null, "begin anew, with the same system prompt", (_, _) => ClearAsync()),
            new("save", "FILE", "write the conversation and its state to a file", SaveAsync),
            new("load", "FILE", "go on with the conversation of a file", LoadAsync),
            new("exit", null, "leave; so does the end of the input", null),
        ];
    }

    /// <summary>Runs a line, given without its slash.</summary>
    /// <returns>Whether the conversation goes on.</returns>
    /// <exception cref="BambaException">There is no such command, or its argument is missing or of no use.</exception>
    public async Task<bool> RunAsync(string line, CancellationToken cancellationToken)
    {
        string[] words = line.Split(
            (char[]?)null,
            2,
            StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries
        );
        string name = words is [var first, ..] ? first : "";
        string? argument = words is [_, var second] ? second : null;
        SlashCommand command =
            all.FirstOrDefault(command => command.Name == name)
            ?? throw new BambaException(
                $"expected one of {string.Join(", ", all.Select(command => $"/{command.Name}"))}, found /{name}; //{name} says it to the model"
            );
        if (command.Argument is null != argument is null)
        {
            throw new BambaException(
                $"expected {command.Usage}, found {(argument is null ? "no name of a file" : $"\"{argument}\" behind it")}"
            );
        }
        if (command.RunAsync is null)
        {
            return false;
        }
        await command.RunAsync(argument ?? "", cancellationToken).ConfigureAwait(false);
        return true;
    }

    private async Task HelpAsync()
    {
        int width = all.Max(command => command.Usage.Length);
        foreach (SlashCommand command in all)
        {
            await console
                .Out.WriteLineAsync($"{command.Usage.PadRight(width)}  {command.Description}")
                .ConfigureAwait(false);
        }
    }

    private async Task HistoryAsync()
    {
        if (chat.SystemPrompt is { } system)
        {
            await console.Out.WriteLineAsync($"system: {system}").ConfigureAwait(false);
        }
        foreach (ChatTurn turn in chat.History)
        {
            await console.Out.WriteLineAsync($"user: {turn.User}").ConfigureAwait(false);
            await console.Out.WriteLineAsync($"assistant: {turn.Assistant.TrimEnd('\n')}").ConfigureAwait(false);
        }
        await TellWhereItStandsAsync("").ConfigureAwait(false);
    }

    private async Task UndoAsync(CancellationToken cancellationToken)
    {
        if (!await chat.UndoAsync(cancellationToken).ConfigureAwait(false))
        {
            throw new BambaException("there is no turn to take back");
        }
        await TellWhereItStandsAsync("taken back: ").ConfigureAwait(false);
    }

    private Task ClearAsync()
    {
        chat.Clear();
        return TellWhereItStandsAsync("cleared: ");
    }

    private async Task SaveAsync(string path, CancellationToken cancellationToken)
    {
        await chat.SaveAsync(path, cancellationToken).ConfigureAwait(false);
        await TellWhereItStandsAsync("saved: ").ConfigureAwait(false);
    }

    private async Task LoadAsync(string path, CancellationToken cancellationToken)
    {
        await chat.LoadAsync(path, cancellationToken).ConfigureAwait(false);
        await TellWhereItStandsAsync("loaded: ").ConfigureAwait(false);
    }

    private Task TellWhereItStandsAsync(string what)
    {
        int turns = chat.History.Count;
        string counted = string.Create(CultureInfo.InvariantCulture, $"{turns} {(turns == 1 ? "turn" : "turns")}");
        return console.Error.WriteLineAsync($"({what}{counted}, {chat.Length} of {chat.ContextLength} tokens)");
    }

    /// <param name="Name">What follows the slash.</param>
    /// <param name="Argument">What must follow the name; null for nothing.</param>
    /// <param name="Description">What it does.</param>
    /// <param name="RunAsync">Does it; null ends the conversation.</param>
    private sealed record SlashCommand(
        string Name,
        string? Argument,
        string Description,
        Func<string, CancellationToken, Task>? RunAsync
    )
    {
        public string Usage => Argument is null ? $"/{Name}" : $"/{Name} {Argument}";
    }
}
