using System.Net;
using System.Net.Http.Headers;

namespace Bamba.Onnx.Hub.Transfer;

/// <summary>
/// Requests to the hub. Redirects are followed here and not by the handler, because the token is for the hub alone: a request
/// to another scheme, host or port never carries it.
/// </summary>
internal sealed class HubHttp : IDisposable
{
    /// <summary>How long a connection may say nothing.</summary>
    public static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(60);

    private const int MostRedirects = 10;

    private readonly HttpClient client;
    private readonly string? token;
    private readonly TimeProvider time;

    public HubHttp(Uri endpoint, string? token, TimeProvider time)
    {
        Endpoint = endpoint.AbsoluteUri.TrimEnd('/');
        this.token = token;
        this.time = time;
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = TimeSpan.FromSeconds(15),
        };
        client = new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
        string version = typeof(HubHttp).Assembly.GetName().Version!.ToString(3);
        client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("bamba-onnx", version));
        // A compressed answer would have another size than the file.
        client.DefaultRequestHeaders.AcceptEncoding.Add(new StringWithQualityHeaderValue("identity"));
    }

    /// <summary>The hub's address without a slash at its end.</summary>
    public string Endpoint { get; }

    /// <summary>The list of a revision's files.</summary>
    public HubRequest Revision(HubModelId id) =>
        Request(id, null, $"api/models/{id.Repository}/revision/{Uri.EscapeDataString(id.Revision)}");

    /// <summary>A file at a commit.</summary>
    public HubRequest File(HubModelId id, string commit, string name) =>
        Request(
            id,
            name,
            $"{id.Repository}/resolve/{commit}/{string.Join('/', name.Split('/').Select(Uri.EscapeDataString))}"
        );

    /// <summary>Asks, and gives the answer when its headers are there.</summary>
    /// <param name="method">GET, or HEAD, which stays at the hub: its redirect to another host announces the file already.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="from">The first byte that is wanted.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="TransientHubException">Another attempt may succeed.</exception>
    /// <exception cref="HubException">None will.</exception>
    public async Task<HttpResponseMessage> SendAsync(
        HttpMethod method,
        HubRequest request,
        long from,
        CancellationToken cancellationToken
    )
    {
        Uri uri = request.Uri;
        for (int redirects = 0; ; redirects++)
        {
            HttpResponseMessage response = await SendOnceAsync(method, request, uri, from, cancellationToken)
                .ConfigureAwait(false);
            Uri? target = Redirected(response, uri);
            if (target is null || (method == HttpMethod.Head && !IsOfHub(target)))
            {
                return
                    target is not null
                    || response.IsSuccessStatusCode
                    || response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable
                    ? response
                    : throw Refused(response, request);
            }
            response.Dispose();
            if (redirects == MostRedirects || (uri.Scheme == Uri.UriSchemeHttps && target.Scheme != Uri.UriSchemeHttps))
            {
                throw new HubException(
                    redirects == MostRedirects
                        ? $"{request.What}: {request.Host} redirects more than {MostRedirects} times"
                        : $"{request.What}: {request.Host} redirects to {target.Authority} without encryption"
                );
            }
            uri = target;
        }
    }

    /// <summary>Reads from a connection that must not be silent for long.</summary>
    /// <exception cref="TransientHubException">The connection was cut, or is silent.</exception>
    public async Task<T> ReadAsync<T>(
        HubRequest request,
        Func<CancellationToken, Task<T>> read,
        CancellationToken cancellationToken
    )
    {
        using var silence = new CancellationTokenSource(LongestSilence, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        try
        {
            return await read(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TransientHubException(
                $"{request.What}: {request.Host} was silent for {LongestSilence.TotalSeconds} seconds",
                innerException: e
            );
        }
        catch (HttpRequestException e)
            when (e.HttpRequestError is HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError)
        {
            throw new HubException($"{request.What}: {request.Host} cannot be reached: {e.Message}", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new TransientHubException(
                $"{request.What}: the connection to {request.Host} failed: {e.Message}",
                innerException: e
            );
        }
    }

    /// <inheritdoc/>
    public void Dispose() => client.Dispose();

    private async Task<HttpResponseMessage> SendOnceAsync(
        HttpMethod method,
        HubRequest request,
        Uri uri,
        long from,
        CancellationToken cancellationToken
    )
    {
        using var message = new HttpRequestMessage(method, uri);
        if (token is not null && IsOfHub(uri))
        {
            message.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }
        if (from > 0)
        {
            message.Headers.Range = new RangeHeaderValue(from, null);
        }
        return await ReadAsync(
                request,
                either => client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either),
                cancellationToken
            )
            .ConfigureAwait(false);
    }

    private Exception Refused(HttpResponseMessage response, HubRequest request)
    {
        using (response)
        {
            return HubAnswers.Explain(response, request, time);
        }
    }

    private static Uri? Redirected(HttpResponseMessage response, Uri from) =>
        HubAnswers.IsRedirect(response.StatusCode) && response.Headers.Location is { } location
            ? new Uri(from, location)
            : null;

    private bool IsOfHub(Uri uri) =>
        Uri.Compare(
            uri,
            new Uri(Endpoint),
            UriComponents.SchemeAndServer,
            UriFormat.Unescaped,
            StringComparison.OrdinalIgnoreCase
        ) == 0;

    private HubRequest Request(HubModelId id, string? file, string path) =>
        new(id, file, new Uri($"{Endpoint}/{path}"), token is not null) { ModelPage = $"{Endpoint}/{id.Repository}" };
}
