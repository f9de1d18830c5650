using System.Net;

namespace Bamba.Onnx.Hub.Transfer;

/// <summary>
/// Gets one file into the cache's blobs. Its bytes gather in <c>HASH.incomplete</c>, where an interrupted download goes on, and
/// get the blob's name once their hash is right.
/// </summary>
/// <param name="http">The hub.</param>
/// <param name="request">The file.</param>
/// <param name="file">What the hub announces.</param>
/// <param name="place">The file that gathers the bytes.</param>
/// <param name="time">The clock of pauses.</param>
/// <param name="report">Hears how many bytes are here.</param>
internal sealed class BlobDownload(
    HubHttp http,
    HubRequest request,
    RemoteFile file,
    string place,
    TimeProvider time,
    Action<long> report
)
{
    private const int BufferBytes = 1 << 18;

    private readonly byte[] buffer = new byte[BufferBytes];

    /// <summary>Downloads what is missing and checks the whole.</summary>
    /// <exception cref="HubException">The hub refuses, fails too often, or sends something else than it announced.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var hash = new BlobHash(file);
        string found;
        var gathered = new FileStream(place, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, 1);
        await using (gathered.ConfigureAwait(false))
        {
            await TakeUpAsync(gathered, hash, cancellationToken).ConfigureAwait(false);
            await GatherAsync(gathered, hash, cancellationToken).ConfigureAwait(false);
            found = hash.Finish();
        }
        if (found != file.Hash)
        {
            File.Delete(place);
            throw new HubException(
                $"{request.What}: is damaged: expected the {hash.Name} {file.Hash}, found {found}; it was deleted, try again"
            );
        }
    }

    /// <summary>Hashes what an earlier download left.</summary>
    private async Task TakeUpAsync(FileStream gathered, BlobHash hash, CancellationToken cancellationToken)
    {
        if (gathered.Length > file.Bytes)
        {
            gathered.SetLength(0);
        }
        int count;
        while ((count = await gathered.ReadAsync(buffer, cancellationToken).ConfigureAwait(false)) > 0)
        {
            hash.Append(buffer.AsSpan(0, count));
        }
        report(gathered.Position);
    }

    private async Task GatherAsync(FileStream gathered, BlobHash hash, CancellationToken cancellationToken)
    {
        var patience = new Patience(time);
        while (gathered.Position < file.Bytes)
        {
            long before = gathered.Position;
            try
            {
                await ReceiveAsync(gathered, hash, cancellationToken).ConfigureAwait(false);
            }
            catch (TransientHubException e)
            {
                if (gathered.Position > before)
                {
                    patience.Renew();
                }
                await patience.AfterAsync(e, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task ReceiveAsync(FileStream gathered, BlobHash hash, CancellationToken cancellationToken)
    {
        using HttpResponseMessage response = await http.SendAsync(
                HttpMethod.Get,
                request,
                gathered.Position,
                cancellationToken
            )
            .ConfigureAwait(false);
        if (!Continues(response, gathered.Position))
        {
            gathered.SetLength(0);
            hash.Restart();
            if (response.StatusCode != HttpStatusCode.OK)
            {
                throw new TransientHubException(
                    $"{request.What}: {request.Host} sends another part than was asked for"
                );
            }
        }
        Stream body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (body.ConfigureAwait(false))
        {
            int count;
            while ((count = await ReadAsync(body, cancellationToken).ConfigureAwait(false)) > 0)
            {
                if (gathered.Position + count > file.Bytes)
                {
                    gathered.SetLength(0);
                    throw new HubException(
                        $"{request.What}: is damaged: expected {file.Bytes} bytes, found more; it was deleted, try again"
                    );
                }
                await gathered.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
                hash.Append(buffer.AsSpan(0, count));
                report(gathered.Position);
            }
        }
        if (gathered.Position < file.Bytes)
        {
            throw new TransientHubException(
                $"{request.What}: {request.Host} ended it at byte {gathered.Position} of {file.Bytes}"
            );
        }
    }

    /// <summary>Whether an answer goes on where the file ends; servers may ignore a range and send the whole again.</summary>
    private static bool Continues(HttpResponseMessage response, long position) =>
        response.StatusCode switch
        {
            HttpStatusCode.OK => position == 0,
            HttpStatusCode.PartialContent => response.Content.Headers.ContentRange?.From == position,
            _ => false,
        };

    private Task<int> ReadAsync(Stream body, CancellationToken cancellationToken) =>
        http.ReadAsync(request, either => body.ReadAsync(buffer, either).AsTask(), cancellationToken);
}
