using System.Runtime.CompilerServices;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.State;

namespace Bamba.Onnx.Chat;

/// <summary>
/// A conversation with a model. Its session goes on from turn to turn, so that only what is new goes through the model. Turns can
/// be taken back, and a conversation saved with its state goes on exactly as if it had never been away.
/// </summary>
/// <remarks>
/// One call at a time: an answer that is being enumerated is one. <see cref="Dispose"/> may come from any thread at any time.
/// </remarks>
public sealed partial class ChatSession : IDisposable
{
    private readonly BambaSession session;
    private readonly int keptStates;
    private readonly List<ChatExchange> exchanges = [];
    private ChatPrompt prompt;
    private int[] pending = [];
    private int busy;

    /// <summary>Opens a conversation.</summary>
    /// <param name="runtime">The model.</param>
    /// <param name="options">How; null for the model's own format and no system prompt.</param>
    /// <exception cref="BambaFormatException">The model folder's template is of no format known here, or its tokenizer is damaged.</exception>
    /// <exception cref="BambaException">The model's tokenizer lacks a special token that the format needs.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The context is not positive or longer than the model's.</exception>
    /// <exception cref="ObjectDisposedException">The runtime was disposed.</exception>
    public ChatSession(BambaRuntime runtime, ChatOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(runtime);
        options ??= new ChatOptions();
        prompt = new ChatPrompt(options.Format ?? ChatFormat.Load(runtime.Folder), runtime.Tokenizer);
        SystemPrompt = options.SystemPrompt;
        keptStates = options.KeptStates;
        session = runtime.CreateSession(contextLength: options.ContextLength);
    }

    /// <summary>The model.</summary>
    public BambaRuntime Runtime => session.Runtime;

    /// <summary>How the conversation is written for the model.</summary>
    public ChatFormat Format => prompt.Format;

    /// <summary>What the model was told before the first turn; null for nothing.</summary>
    public string? SystemPrompt { get; private set; }

    /// <summary>The turns so far.</summary>
    public IReadOnlyList<ChatTurn> History => [.. exchanges.Select(exchange => exchange.Turn)];

    /// <summary>Tokens of the conversation so far.</summary>
    /// <exception cref="ObjectDisposedException">The conversation was disposed.</exception>
    public int Length => session.Length(0) + pending.Length;

    /// <summary>Most tokens of the conversation.</summary>
    public int ContextLength => session.ContextLength;

    /// <summary>Says something and gives the answer, token by token.</summary>
    /// <param name="text">What is said; special tokens written in it are nothing but text.</param>
    /// <param name="options">
    /// What to ask; null for the model's defaults. Where it names no end tokens, the end of a turn ends the answer beside the
    /// model's own. Tokens of a stop string stay in what the model has read.
    /// </param>
    /// <param name="cancellationToken">
    /// Stops the answer, which stays in the history as far as it came; before its first token the turn is taken back instead.
    /// To leave the enumeration early does the same.
    /// </param>
    /// <exception cref="ArgumentException">Nothing is said where the format adds nothing either.</exception>
    /// <exception cref="ContextLengthException">The conversation would grow past its context; it stays as it was.</exception>
    /// <exception cref="InvalidOperationException">Another call has not ended.</exception>
    /// <exception cref="BambaException">ONNX Runtime failed; the turn was taken back.</exception>
    /// <exception cref="OperationCanceledException">The answer was stopped; the conversation may go on.</exception>
    public async IAsyncEnumerable<GeneratedToken> SendAsync(
        string text,
        GenerationOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default
    )
    {
        ArgumentNullException.ThrowIfNull(text);
        using Call call = Enter();
        BambaStateSnapshot before = session.Snapshot();
        int[] ids = [.. pending, .. NewTokens(text)];
        if (ids.Length == 0)
        {
            throw new ArgumentException("expected a text, found an empty one", nameof(text));
        }
        var answer = new ChatAnswer();
        try
        {
            await foreach (
                GeneratedToken token in session
                    .GenerateTokensAsync([ids], WithEndOfTurn(options), cancellationToken)
                    .ConfigureAwait(false)
            )
            {
                answer.Add(token);
                yield return token;
            }
            answer.IsComplete = true;
        }
        finally
        {
            Settle(text, before, ids.Length, answer);
        }
    }

    /// <summary>Takes the last turn back, as if it had not been.</summary>
    /// <param name="cancellationToken">Ends the work, which is long only where the state before the turn is not kept; the turn then stays.</param>
    /// <returns>Whether there was a turn.</returns>
    /// <exception cref="InvalidOperationException">Another call has not ended.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public async Task<bool> UndoAsync(CancellationToken cancellationToken = default)
    {
        using Call call = Enter();
        if (exchanges is not [.., var last])
        {
            return false;
        }
        if (last.Before is { } before)
        {
            session.Restore(before);
        }
        else
        {
            await ReplayAsync(session.Tokens(0)[..last.Start].ToArray(), cancellationToken).ConfigureAwait(false);
        }
        pending = last.Pending;
        exchanges.RemoveAt(exchanges.Count - 1);
        return true;
    }

    /// <summary>Begins anew, with the same system prompt.</summary>
    /// <exception cref="InvalidOperationException">Another call has not ended.</exception>
    public void Clear()
    {
        using Call call = Enter();
        session.Reset();
        exchanges.Clear();
        pending = [];
    }

    /// <inheritdoc/>
    public void Dispose() => session.Dispose();

    private int[] NewTokens(string text) =>
        exchanges switch
        {
            [] => prompt.First(SystemPrompt, text),
            [.., { Turn: var last }] => prompt.Next(last.Assistant.Length > 0 ? last.Assistant : last.User, text),
        };

    private GenerationOptions WithEndOfTurn(GenerationOptions? options)
    {
        options ??= new GenerationOptions();
        return options.EosTokenIds is null && prompt.EndOfTurn is { } end
            ? options with
            {
                EosTokenIds = [.. Runtime.Defaults.EosTokenIds, end],
            }
            : options;
    }

    /// <summary>Keeps the turn, or takes it back where no answer came or ONNX Runtime failed.</summary>
    private void Settle(string text, BambaStateSnapshot before, int promptTokens, ChatAnswer answer)
    {
        if (session.IsDisposed)
        {
            return;
        }
        if (session.IsDamaged || (answer.IsEmpty && !answer.IsComplete))
        {
            session.Restore(before);
            return;
        }
        int start = before.Length(0);
        var turn = new ChatTurn(text, answer.Text, answer.FinishReason);
        exchanges.Add(new ChatExchange(turn, start, pending, before));
        pending = answer.Pending(taken: session.Length(0) - start - promptTokens);
        if (exchanges.Count > keptStates)
        {
            exchanges[^(keptStates + 1)] = exchanges[^(keptStates + 1)] with { Before = null };
        }
    }

    /// <summary>Makes the session what it is after some tokens alone.</summary>
    private async Task ReplayAsync(int[] tokens, CancellationToken cancellationToken)
    {
        BambaStateSnapshot now = session.Snapshot();
        try
        {
            session.Reset();
            if (tokens.Length > 0)
            {
                await Task.Run(() => session.Prefill(tokens, cancellationToken), cancellationToken)
                    .ConfigureAwait(false);
            }
        }
        catch when (!session.IsDisposed)
        {
            session.Restore(now);
            throw;
        }
    }

    private Call Enter()
    {
        ObjectDisposedException.ThrowIf(session.IsDisposed, this);
        return Interlocked.Exchange(ref busy, 1) == 0
            ? new Call(this)
            : throw new InvalidOperationException(
                "expected one call of a conversation at a time, found another that has not ended, an answer for one"
            );
    }

    private sealed class Call(ChatSession chat) : IDisposable
    {
        public void Dispose() => Volatile.Write(ref chat.busy, 0);
    }
}
