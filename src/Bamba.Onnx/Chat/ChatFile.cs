using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.State;

namespace Bamba.Onnx.Chat;

/// <summary>
/// The file form of a conversation: a magic word, the length of its JSON, the JSON, the SHA-256 of all before it, and the state
/// as a snapshot writes itself.
/// </summary>
internal static class ChatFile
{
    private const int CurrentFormatVersion = 1;
    private const int MostJsonBytes = 1 << 28;
    private static readonly byte[] Magic = "BAMBACHT"u8.ToArray();

    public static async Task WriteAsync(
        SavedChat chat,
        BambaStateSnapshot state,
        Stream stream,
        CancellationToken cancellationToken
    )
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(
            new ChatFileContent(CurrentFormatVersion, chat),
            ChatJson.Default.ChatFileContent
        );
        byte[] length = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, json.Length);
        byte[] head = [.. Magic, .. length, .. json];
        await stream.WriteAsync(head, cancellationToken).ConfigureAwait(false);
        await stream.WriteAsync(SHA256.HashData(head), cancellationToken).ConfigureAwait(false);
        await state.SaveAsync(stream, cancellationToken).ConfigureAwait(false);
    }

    /// <exception cref="BambaException">It is no conversation, is damaged, or is of a newer format.</exception>
    public static async Task<(SavedChat Chat, BambaStateSnapshot State)> ReadAsync(
        Stream stream,
        CancellationToken cancellationToken
    )
    {
        byte[] magic = await ReadAsync(stream, Magic.Length, cancellationToken).ConfigureAwait(false);
        if (!magic.AsSpan().SequenceEqual(Magic))
        {
            throw new BambaException("expected a saved conversation, found something else");
        }
        byte[] length = await ReadAsync(stream, sizeof(int), cancellationToken).ConfigureAwait(false);
        int jsonBytes = BinaryPrimitives.ReadInt32LittleEndian(length);
        if (jsonBytes is < 0 or > MostJsonBytes)
        {
            throw Damaged($"a text of {jsonBytes} bytes");
        }
        byte[] json = await ReadAsync(stream, jsonBytes, cancellationToken).ConfigureAwait(false);
        byte[] hash = await ReadAsync(stream, SHA256.HashSizeInBytes, cancellationToken).ConfigureAwait(false);
        if (!hash.AsSpan().SequenceEqual(SHA256.HashData([.. magic, .. length, .. json])))
        {
            throw Damaged("another hash than its bytes have");
        }
        SavedChat chat = Parse(json);
        BambaStateSnapshot state = await BambaStateSnapshot.LoadAsync(stream, cancellationToken).ConfigureAwait(false);
        return (chat, state);
    }

    /// <summary>Writes a file under another name first, so that at no time a half of it stands under its own.</summary>
    public static async Task ReplaceAsync(string path, Func<Stream, Task> write)
    {
        string temporary = $"{path}.{Path.GetRandomFileName()}";
        try
        {
            FileStream file = new(temporary, FileMode.CreateNew);
            await using (file.ConfigureAwait(false))
            {
                await write(file).ConfigureAwait(false);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }

    private static async Task<byte[]> ReadAsync(Stream stream, int count, CancellationToken cancellationToken)
    {
        // A damaged length must not cost memory that the stream has no bytes for.
        if (stream.CanSeek && count > stream.Length - stream.Position)
        {
            throw Damaged("an end before it is whole");
        }
        byte[] part = new byte[count];
        try
        {
            await stream.ReadExactlyAsync(part, cancellationToken).ConfigureAwait(false);
            return part;
        }
        catch (EndOfStreamException e)
        {
            throw Damaged("an end before it is whole", e);
        }
    }

    private static SavedChat Parse(byte[] json)
    {
        try
        {
            ChatFileContent content = JsonSerializer.Deserialize(json, ChatJson.Default.ChatFileContent)!;
            return content.FormatVersion is >= 1 and <= CurrentFormatVersion
                ? content.Chat
                : throw new BambaException(
                    $"expected a saved conversation of format 1 to {CurrentFormatVersion}, found {content.FormatVersion}, which a newer Bamba.Onnx wrote"
                );
        }
        catch (JsonException e)
        {
            throw Damaged("an unreadable text", e);
        }
    }

    private static BambaException Damaged(string found, Exception? inner = null) =>
        new($"the saved conversation is damaged: found {found}", inner);
}

internal sealed record ChatFileContent(
    [property: JsonRequired] int FormatVersion,
    [property: JsonRequired] SavedChat Chat
);

/// <param name="Format">The name of the format.</param>
/// <param name="BeginToken">The token before the first turn.</param>
/// <param name="SystemPrompt">What the model was told before the first turn.</param>
/// <param name="Turns">The turns.</param>
/// <param name="Pending">Tokens of the last answer that the session had not taken.</param>
internal sealed record SavedChat(
    [property: JsonRequired] string Format,
    string? BeginToken,
    string? SystemPrompt,
    [property: JsonRequired] ImmutableArray<SavedTurn> Turns,
    [property: JsonRequired] ImmutableArray<int> Pending
)
{
    /// <exception cref="BambaException">The format is unknown here.</exception>
    public ChatFormat ToFormat() =>
        ChatFormat.All.FirstOrDefault(format => format.Name == Format)?.BeginningWith(BeginToken)
        ?? throw new BambaException($"expected a saved conversation in a format known here, found one in {Format}");
}

/// <inheritdoc cref="ChatExchange"/>
internal sealed record SavedTurn(
    [property: JsonRequired] ChatTurn Turn,
    [property: JsonRequired] int Start,
    [property: JsonRequired] ImmutableArray<int> Pending
);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UseStringEnumConverter = true
)]
[JsonSerializable(typeof(ChatFileContent))]
internal sealed partial class ChatJson : JsonSerializerContext;
