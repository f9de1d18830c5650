using System.Globalization;
using System.Net;
using System.Net.Http.Headers;

namespace Bamba.Onnx.Hub.Transfer;

/// <summary>What the hub's refusals mean: status and <c>X-Error-Code</c> in, an error for the user out.</summary>
internal static class HubAnswers
{
    /// <summary>The error behind an answer that is no success.</summary>
    /// <param name="response">The answer.</param>
    /// <param name="request">What was asked for.</param>
    /// <param name="time">The clock that a date in <c>Retry-After</c> is held against.</param>
    public static Exception Explain(HttpResponseMessage response, HubRequest request, TimeProvider time)
    {
        int status = (int)response.StatusCode;
        string code = Header(response, "X-Error-Code") ?? "";
        string says = Header(response, "X-Error-Message") is { } message ? $" ({message})" : "";
        HubModelId id = request.Id;
        string access = request.HasToken
            ? "the token that was sent may not read it"
            : "no token was sent: set HF_TOKEN, or log in with: hf auth login";
        return (status, code) switch
        {
            (429, _) => Transient($"{request.Host} limits the rate of requests (429){says}"),
            (408 or 500 or 502 or 503 or 504, _) => Transient($"{request.Host} failed ({status}){says}"),
            (_, "GatedRepo") => new HubException(
                $"{id.Repository}: its owners grant access on request, at {request.ModelPage}; {access}{says}"
            ),
            (_, "RepoNotFound") => NoModel(),
            (404, "") when request.File is null => NoModel(),
            (_, "RevisionNotFound") => new HubException(
                $"{id.Repository}: {request.Host} has no revision '{id.Revision}' of it{says}"
            ),
            (404, _) => new HubException($"{id}: {request.Host} has no file {request.File} of it{says}"),
            (401, _) => new HubException(
                request.HasToken
                    ? $"{id}: {request.Host} refuses the token (401){says}; set another by HF_TOKEN or: hf auth login"
                    : $"{id}: {request.Host} wants to know who asks (401){says}; {access}"
            ),
            (403, _) => new HubException($"{id}: {request.Host} forbids access (403){says}; {access}"),
            _ => new HubException($"{id}: {request.Host} answers {status} {response.ReasonPhrase}{says}"),
        };

        HubException NoModel() =>
            new($"{id.Repository}: {request.Host} has no such model, or it is private; {access}{says}");

        TransientHubException Transient(string problem) =>
            new($"{request.What}: {problem}", RetryAfter(response.Headers.RetryAfter, time));
    }

    /// <summary>The first value of a header, null where there is none.</summary>
    public static string? Header(HttpResponseMessage response, string name) =>
        response.Headers.TryGetValues(name, out IEnumerable<string>? values)
        || response.Content.Headers.TryGetValues(name, out values)
            ? values.FirstOrDefault()
            : null;

    /// <summary>A file's hash and size, from the headers that announce it.</summary>
    /// <exception cref="HubException">They announce none.</exception>
    public static RemoteFile Announced(HttpResponseMessage response, HubRequest request)
    {
        string? etag = Header(response, "X-Linked-ETag") ?? Header(response, "ETag");
        string hash = (etag ?? "").Replace("W/", "", StringComparison.Ordinal).Trim('"').ToLowerInvariant();
        if (!BlobHash.IsKnown(hash))
        {
            throw new HubException(
                $"{request.What}: {request.Host} announces no SHA-256 or git hash to check it by, but {etag ?? "nothing"}"
            );
        }
        string? size = Header(response, "X-Linked-Size") ?? Header(response, "Content-Length");
        return long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out long bytes)
            ? new RemoteFile(request.File!, hash, bytes)
            : throw new HubException($"{request.What}: {request.Host} announces no size");
    }

    public static bool IsRedirect(HttpStatusCode status) => (int)status is 301 or 302 or 303 or 307 or 308;

    private static TimeSpan? RetryAfter(RetryConditionHeaderValue? header, TimeProvider time)
    {
        TimeSpan? wait = header?.Delta ?? (header?.Date - time.GetUtcNow());
        return wait < TimeSpan.Zero ? TimeSpan.Zero : wait;
    }
}
