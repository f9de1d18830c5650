using Bamba.Onnx.Contract;
using Bamba.Onnx.State;

namespace Bamba.Onnx.Chat;

/// <content>A conversation as a file.</content>
public sealed partial class ChatSession
{
    /// <summary>Writes the conversation and the state that it left, with hashes that <see cref="LoadAsync(Stream, CancellationToken)"/> checks.</summary>
    /// <param name="stream">Where to; left open.</param>
    /// <param name="cancellationToken">Ends the writing; what was written is then of no use.</param>
    /// <exception cref="IOException">The stream does not take it.</exception>
    /// <exception cref="InvalidOperationException">Another call has not ended.</exception>
    public async Task SaveAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using Call call = Enter();
        var saved = new SavedChat(
            Format.Name,
            Format.BeginToken,
            SystemPrompt,
            [.. exchanges.Select(exchange => new SavedTurn(exchange.Turn, exchange.Start, [.. exchange.Pending]))],
            [.. pending]
        );
        await ChatFile.WriteAsync(saved, session.Snapshot(), stream, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes the conversation to a file. An earlier file of that name stays until the new one is whole.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Ends the writing and leaves nothing behind.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be written.</exception>
    /// <exception cref="InvalidOperationException">Another call has not ended.</exception>
    public Task SaveAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return ChatFile.ReplaceAsync(path, stream => SaveAsync(stream, cancellationToken));
    }

    /// <summary>Goes on with a saved conversation in place of this one, in its format and with its system prompt.</summary>
    /// <remarks>The states before its turns are not saved: to take one back, the conversation up to it goes through the model again.</remarks>
    /// <param name="stream">Where from; read to the conversation's end and left open.</param>
    /// <param name="cancellationToken">Ends the reading; the conversation stays as it was.</param>
    /// <exception cref="BambaException">
    /// What the stream holds is no conversation, is damaged, of a newer format, or of another model; this one stays as it was.
    /// </exception>
    /// <exception cref="ContextLengthException">It is longer than this one's context.</exception>
    /// <exception cref="IOException">The stream cannot be read.</exception>
    /// <exception cref="InvalidOperationException">Another call has not ended.</exception>
    public async Task LoadAsync(Stream stream, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        using Call call = Enter();
        (SavedChat saved, BambaStateSnapshot state) = await ChatFile
            .ReadAsync(stream, cancellationToken)
            .ConfigureAwait(false);
        if (state.Model != Runtime.SnapshotModel)
        {
            throw new BambaException(
                $"expected a conversation with this model ({BambaRuntime.Describe(Runtime.SnapshotModel)}), found one with another ({BambaRuntime.Describe(state.Model)})"
            );
        }
        var itsPrompt = new ChatPrompt(saved.ToFormat(), Runtime.Tokenizer);
        session.Restore(state);
        prompt = itsPrompt;
        SystemPrompt = saved.SystemPrompt;
        exchanges.Clear();
        exchanges.AddRange(
            saved.Turns.Select(turn => new ChatExchange(turn.Turn, turn.Start, [.. turn.Pending], null))
        );
        pending = [.. saved.Pending];
    }

    /// <summary>Goes on with the conversation of a file in place of this one, in its format and with its system prompt.</summary>
    /// <inheritdoc cref="LoadAsync(Stream, CancellationToken)"/>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Ends the reading; the conversation stays as it was.</param>
    /// <exception cref="BambaFormatException">
    /// The file is missing, holds no conversation, is damaged, of a newer format, or of another model; this conversation stays as
    /// it was.
    /// </exception>
    public async Task LoadAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        try
        {
            FileStream file = File.OpenRead(path);
            await using (file.ConfigureAwait(false))
            {
                await LoadAsync(file, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BambaFormatException(path, "no such file", e);
        }
        catch (BambaException e) when (e is not ContextLengthException)
        {
            throw new BambaFormatException(path, e.Message, e);
        }
    }
}
