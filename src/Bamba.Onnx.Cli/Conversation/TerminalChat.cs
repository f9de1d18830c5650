using System.Text;
using Bamba.Onnx.Chat;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Cli.Conversation;

/// <summary>
/// A conversation at a terminal or over pipes, a line a turn. Answers go to standard output, all else to standard error.
/// </summary>
internal sealed class TerminalChat
{
    private const string Prompt = "> ";
    private const char Slash = '/';

    private readonly CliConsole console;
    private readonly ChatSession chat;
    private readonly GenerationOptions options;
    private readonly Interrupts interrupts;
    private readonly SlashCommands commands;
    private int retries;

    public TerminalChat(CliConsole console, ChatSession chat, GenerationOptions options, Interrupts interrupts)
    {
        this.console = console;
        this.chat = chat;
        this.options = options;
        this.interrupts = interrupts;
        commands = new SlashCommands(console, chat, RetryAsync);
    }

    /// <summary>Talks until the user leaves or the input ends. Ctrl+C stops an answer; where none comes, it cancels.</summary>
    public async Task RunAsync()
    {
        if (console.InIsTerminal)
        {
            await NoteAsync(
                    $"{chat.Runtime.Folder}, format {chat.Format}. /help lists commands, Ctrl+C stops an answer, /exit leaves."
                )
                .ConfigureAwait(false);
        }
        while (await ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            try
            {
                if (!await HandleAsync(line, interrupts.Next()).ConfigureAwait(false))
                {
                    return;
                }
            }
            catch (OperationCanceledException) when (interrupts.Token.IsCancellationRequested)
            {
                // Throws where not only this line was cancelled.
                interrupts.Next();
                await NoteAsync("stopped").ConfigureAwait(false);
            }
            catch (ContextLengthException e)
            {
                await ErrorAsync($"error: {e.Message}; {SlashCommands.MakeRoom}").ConfigureAwait(false);
            }
            catch (Exception e) when (CommandLine.Explain(e) is var (code, message) && code != 0)
            {
                await ErrorAsync(message).ConfigureAwait(false);
            }
        }
    }

    private async Task<string?> ReadLineAsync()
    {
        if (console.InIsTerminal)
        {
            await console.Error.WriteAsync(Prompt).ConfigureAwait(false);
        }
        // A read that waits for somebody to type cannot be ended, only left behind.
        CancellationToken interrupt = interrupts.Next();
        return await Task.Run(console.In.ReadLine, interrupt).WaitAsync(interrupt).ConfigureAwait(false);
    }

    /// <returns>Whether to go on.</returns>
    private async Task<bool> HandleAsync(string line, CancellationToken cancellationToken)
    {
        switch (line)
        {
            case "":
                return true;
            case [Slash, Slash, ..]:
                line = line[1..];
                break;
            case [Slash, ..]:
                return await commands.RunAsync(line[1..], cancellationToken).ConfigureAwait(false);
        }
        retries = 0;
        await AnswerAsync(line, options, cancellationToken).ConfigureAwait(false);
        return true;
    }

    private async Task RetryAsync(CancellationToken cancellationToken)
    {
        if (chat.History is not [.., { User: var text }])
        {
            throw new BambaException("there is no turn to try again");
        }
        await chat.UndoAsync(cancellationToken).ConfigureAwait(false);
        // With the same seed the same answer would come.
        retries++;
        GenerationOptions again = options.Sampling is { Seed: { } seed } sampling
            ? options with
            {
                Sampling = sampling with { Seed = unchecked(seed + (ulong)retries) },
            }
            : options;
        await AnswerAsync(text, again, cancellationToken).ConfigureAwait(false);
    }

    private async Task AnswerAsync(string text, GenerationOptions how, CancellationToken cancellationToken)
    {
        var answer = new StringBuilder();
        FinishReason? reason = null;
        try
        {
            await foreach (GeneratedToken token in chat.SendAsync(text, how, cancellationToken).ConfigureAwait(false))
            {
                answer.Append(token.Text);
                reason = token.FinishReason;
                await console.Out.WriteAsync(token.Text).ConfigureAwait(false);
            }
        }
        finally
        {
            // An answer ends its line, also one that was stopped.
            if (answer.Length > 0 && answer[^1] != '\n')
            {
                await console.Out.WriteLineAsync().ConfigureAwait(false);
            }
        }
        if (reason is FinishReason.ContextLength)
        {
            await NoteAsync($"the context of {chat.ContextLength} tokens is full; {SlashCommands.MakeRoom}")
                .ConfigureAwait(false);
        }
    }

    private Task NoteAsync(string text) => console.Error.WriteLineAsync($"({text})");

    private Task ErrorAsync(string text) => console.Error.WriteLineAsync(text);
}
