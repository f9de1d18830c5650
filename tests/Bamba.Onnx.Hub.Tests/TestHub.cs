using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Bamba.Onnx.Hub.Tests;

/// <summary>A request that the hub or its storage got.</summary>
internal sealed record SeenRequest(string Method, string Path, bool IsOfStorage, string? Range, string? Authorization);

/// <summary>
/// A hub on this machine that speaks Hugging Face's protocol: a list of files, headers that announce a file, small files from the
/// hub itself and large ones by a redirect to a storage, which is another host by its port. Faults go before right answers.
/// </summary>
internal sealed class TestHub : IAsyncDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";
    public const string Model = "lab/bamba-small";

    private readonly WebApplication app;
    private readonly ConcurrentQueue<SeenRequest> requests = new();
    private readonly List<(Func<SeenRequest, bool> Meets, RequestDelegate Answer, int Times)> faults = [];
    private int storagePort;

    private TestHub(WebApplication app)
    {
        this.app = app;
    }

    public Uri Endpoint { get; private set; } = null!;

    public Dictionary<string, HubFile> Files { get; } = [];

    public string? RequiredToken { get; set; }

    public IReadOnlyList<SeenRequest> Requests => [.. requests];

    public IEnumerable<SeenRequest> Gets(string name) =>
        Requests.Where(request => request.Method == "GET" && request.Path.EndsWith(name, StringComparison.Ordinal));

    /// <summary>A hub with one model of small files and one file of weights.</summary>
    public static async Task<TestHub> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options =>
        {
            options.Listen(System.Net.IPAddress.Loopback, 0);
            options.Listen(System.Net.IPAddress.Loopback, 0);
        });
        WebApplication app = builder.Build();
        var hub = new TestHub(app);
        app.Run(hub.AnswerAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        Uri[] addresses = [.. app.Urls.Select(url => new Uri(url))];
        hub.Endpoint = addresses[0];
        hub.storagePort = addresses[1].Port;
        hub.Add(HubFile.Text("config.json", """{"model_type": "bamba"}"""));
        hub.Add(HubFile.Text("tokenizer.json", "{}"));
        hub.Add(HubFile.Text("README.md", "not wanted"));
        hub.Add(HubFile.Weights("model.safetensors"));
        return hub;
    }

    public void Add(HubFile file) => Files[file.Name] = file;

    /// <summary>Lets requests fail that end with a name.</summary>
    public void Fail(string pathEnd, RequestDelegate answer, string method = "GET", int times = 1) =>
        faults.Add(
            (
                request => request.Method == method && request.Path.EndsWith(pathEnd, StringComparison.Ordinal),
                answer,
                times
            )
        );

    public async ValueTask DisposeAsync() => await app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var seen = new SeenRequest(
            context.Request.Method,
            Uri.UnescapeDataString(context.Request.Path),
            context.Connection.LocalPort == storagePort,
            context.Request.Headers.Range,
            context.Request.Headers.Authorization
        );
        requests.Enqueue(seen);
        RequestDelegate answer = TakeFault(seen) ?? RightAnswer(seen);
        await answer(context);
    }

    private RequestDelegate? TakeFault(SeenRequest seen)
    {
        lock (faults)
        {
            int index = faults.FindIndex(fault => fault.Times > 0 && fault.Meets(seen));
            if (index < 0)
            {
                return null;
            }
            faults[index] = faults[index] with { Times = faults[index].Times - 1 };
            return faults[index].Answer;
        }
    }

    private RequestDelegate RightAnswer(SeenRequest seen)
    {
        string[] parts = seen.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (seen.IsOfStorage)
        {
            return Answers.Bytes(Files[parts[^1]].Content);
        }
        if (RequiredToken is not null && seen.Authorization != $"Bearer {RequiredToken}")
        {
            return Answers.Error(401, "RepoNotFound", "Invalid username or password.");
        }
        return parts switch
        {
            ["api", "models", var owner, var name, "revision", var revision] when $"{owner}/{name}" == Model => revision
                is "main"
                    or Commit
            || Commit.StartsWith(revision, StringComparison.Ordinal)
                ? List
                : Answers.Error(404, "RevisionNotFound", $"Invalid rev id: {revision}"),
            [var owner, var name, "resolve", Commit, .. var file] when $"{owner}/{name}" == Model => Files.TryGetValue(
                string.Join('/', file),
                out HubFile? found
            )
                ? context => AnnounceAsync(context, found)
                : Answers.Error(404, "EntryNotFound", "Entry not found"),
            _ => Answers.Error(404, "RepoNotFound", "Repository not found"),
        };
    }

    private Task List(HttpContext context) =>
        context.Response.WriteAsync(
            JsonSerializer.Serialize(
                new { sha = Commit, siblings = Files.Keys.Select(name => new { rfilename = name }) }
            )
        );

    private Task AnnounceAsync(HttpContext context, HubFile file)
    {
        context.Response.Headers["X-Repo-Commit"] = Commit;
        if (!file.IsLarge)
        {
            context.Response.Headers.ETag = $"\"{file.Hash}\"";
            return Answers.Bytes(file.Content)(context);
        }
        context.Response.Headers["X-Linked-ETag"] = $"\"{file.Hash}\"";
        context.Response.Headers["X-Linked-Size"] = file.Content.Length.ToString(CultureInfo.InvariantCulture);
        context.Response.Redirect($"http://127.0.0.1:{storagePort}/signed/{file.Name}?signature=secret");
        return Task.CompletedTask;
    }
}
