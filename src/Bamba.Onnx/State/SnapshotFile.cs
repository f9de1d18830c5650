using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.State;

/// <summary>
/// The file form of a snapshot: a magic word, the length of a JSON header, the header, the bytes of each row (tokens, caches,
/// scores; little-endian), and the SHA-256 of all before it.
/// </summary>
internal static class SnapshotFile
{
    private const int CurrentFormatVersion = 1;
    private const int MostHeaderBytes = 1 << 24;
    private static readonly byte[] Magic = "BAMBASNP"u8.ToArray();

    public static async Task WriteAsync(BambaStateSnapshot snapshot, Stream stream, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var header = new SnapshotHeader(
            CurrentFormatVersion,
            snapshot.Model,
            [
                .. snapshot.RowStates.Select(row => new SnapshotRowHeader(
                    row.Tokens.Length,
                    [.. row.Caches.Select(cache => cache.Length)],
                    row.Logits is not null
                )),
            ]
        );
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(header, SnapshotJson.Default.SnapshotHeader);
        byte[] length = new byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(length, json.Length);
        foreach (byte[] part in PartsOf(snapshot).Prepend(json).Prepend(length).Prepend(Magic))
        {
            hash.AppendData(part);
            await stream.WriteAsync(part, cancellationToken).ConfigureAwait(false);
        }
        await stream.WriteAsync(hash.GetHashAndReset(), cancellationToken).ConfigureAwait(false);
    }

    public static async Task<BambaStateSnapshot> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] magic = await Read(Magic.Length).ConfigureAwait(false);
        if (!magic.AsSpan().SequenceEqual(Magic))
        {
            throw new BambaException("expected a saved state, found something else");
        }
        int headerBytes = BinaryPrimitives.ReadInt32LittleEndian(await Read(sizeof(int)).ConfigureAwait(false));
        if (headerBytes is < 0 or > MostHeaderBytes)
        {
            throw Damaged($"a header of {headerBytes} bytes");
        }
        SnapshotHeader header = Parse(await Read(headerBytes).ConfigureAwait(false));
        var rows = ImmutableArray.CreateBuilder<RowSnapshot>(header.Rows.Length);
        foreach (SnapshotRowHeader row in header.Rows)
        {
            byte[] tokens = await Read(checked(row.Tokens * sizeof(int))).ConfigureAwait(false);
            var caches = ImmutableArray.CreateBuilder<byte[]>(row.CacheBytes.Length);
            foreach (int bytes in row.CacheBytes)
            {
                caches.Add(await Read(bytes).ConfigureAwait(false));
            }
            byte[]? logits = row.HasLogits
                ? await Read(checked(header.Model.VocabSize * sizeof(float))).ConfigureAwait(false)
                : null;
            rows.Add(
                new RowSnapshot(
                    MemoryMarshal.Cast<byte, int>(tokens).ToArray(),
                    caches.MoveToImmutable(),
                    logits is null ? null : MemoryMarshal.Cast<byte, float>(logits).ToArray()
                )
            );
        }
        byte[] expected = hash.GetHashAndReset();
        byte[] found = await Read(expected.Length).ConfigureAwait(false);
        return found.AsSpan().SequenceEqual(expected)
            ? new BambaStateSnapshot(header.Model, rows.MoveToImmutable())
            : throw Damaged("another hash than its bytes have");

        async Task<byte[]> Read(int count)
        {
            // A damaged length must not cost memory that the stream has no bytes for.
            if (count < 0 || (stream.CanSeek && count > stream.Length - stream.Position))
            {
                throw Damaged("an end before it is whole");
            }
            byte[] part = new byte[count];
            try
            {
                await stream.ReadExactlyAsync(part, cancellationToken).ConfigureAwait(false);
            }
            catch (EndOfStreamException e)
            {
                throw Damaged("an end before it is whole", e);
            }
            hash.AppendData(part);
            return part;
        }
    }

    private static SnapshotHeader Parse(byte[] json)
    {
        try
        {
            SnapshotHeader header = JsonSerializer.Deserialize(json, SnapshotJson.Default.SnapshotHeader)!;
            if (header.FormatVersion is < 1 or > CurrentFormatVersion)
            {
                throw new BambaException(
                    $"expected a saved state of format 1 to {CurrentFormatVersion}, found {header.FormatVersion}, which a newer Bamba.Onnx wrote"
                );
            }
            return header;
        }
        catch (JsonException e)
        {
            throw Damaged("an unreadable header", e);
        }
    }

    private static BambaException Damaged(string found, Exception? inner = null) =>
        new($"the saved state is damaged: found {found}", inner);

    private static IEnumerable<byte[]> PartsOf(BambaStateSnapshot snapshot)
    {
        foreach (RowSnapshot row in snapshot.RowStates)
        {
            yield return MemoryMarshal.AsBytes(row.Tokens.AsSpan()).ToArray();
            foreach (byte[] cache in row.Caches)
            {
                yield return cache;
            }
            if (row.Logits is { } logits)
            {
                yield return MemoryMarshal.AsBytes(logits.AsSpan()).ToArray();
            }
        }
    }
}

internal sealed record SnapshotHeader(
    [property: JsonRequired] int FormatVersion,
    [property: JsonRequired] SnapshotModel Model,
    [property: JsonRequired] ImmutableArray<SnapshotRowHeader> Rows
);

internal sealed record SnapshotRowHeader(
    [property: JsonRequired] int Tokens,
    [property: JsonRequired] ImmutableArray<int> CacheBytes,
    [property: JsonRequired] bool HasLogits
);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(SnapshotHeader))]
internal sealed partial class SnapshotJson : JsonSerializerContext;
