using Bamba.Onnx.Contract;
using Microsoft.AspNetCore.Http;

namespace Bamba.Onnx.Hub.Tests;

public sealed class HubFaultTests : HubClientTest
{
    private const string Stored = "signed/model.safetensors";

    private static readonly string[] All = ["config.json", "model.safetensors", "tokenizer.json"];

    private byte[] Weights => Hub.Files["model.safetensors"].Content;

    private string Incomplete => Path.Combine(Blobs, $"{Hub.Files["model.safetensors"].Hash}.incomplete");

    [Fact]
    public async Task A_cut_connection_goes_on_where_it_ended()
    {
        (Task arrived, IProgress<HubProgress> progress) = Arrival(40_000);
        Hub.Fail(
            Stored,
            Answers.Beginning(
                Weights,
                40_000,
                async context =>
                {
                    await arrived;
                    context.Abort();
                }
            )
        );
        AssertWhole(await DownloadAsync(progress: progress), All);
        Assert.Equal([null, "bytes=40000-"], Hub.Gets(Stored).Select(request => request.Range));
        Assert.Equal([TimeSpan.FromSeconds(1)], Time.Pauses);
    }

    [Fact]
    public async Task A_file_that_ends_early_goes_on_where_it_ended()
    {
        Hub.Fail(Stored, Answers.Beginning(Weights, 30_000, _ => Task.CompletedTask), times: 3);
        AssertWhole(await DownloadAsync(), All);
        Assert.Equal(
            [null, "bytes=30000-", "bytes=60000-", "bytes=90000-"],
            Hub.Gets(Stored).Select(request => request.Range)
        );
        // Each time something came, so the pause does not grow.
        Assert.All(Time.Pauses, pause => Assert.Equal(TimeSpan.FromSeconds(1), pause));
    }

    [Fact]
    public async Task A_file_that_ends_at_the_same_place_for_ever_is_given_up()
    {
        Hub.Fail(Stored, Answers.Beginning(Weights, 30_000, _ => Task.CompletedTask));
        Hub.Fail(Stored, Answers.Beginning(Weights, 0, _ => Task.CompletedTask), times: 100);
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.Equal(
            $"lab/bamba-small: model.safetensors: {Hub.Endpoint.Authority} ended it at byte 30000 of 100000; gave up after 5 attempts",
            error.Message
        );
        AssertNotUsable();
        Assert.Equal(30_000, new FileInfo(Incomplete).Length);
    }

    [Fact]
    public async Task A_server_that_ignores_the_range_is_taken_from_the_start()
    {
        Hub.Fail(Stored, Answers.Beginning(Weights, 30_000, _ => Task.CompletedTask));
        Hub.Fail(Stored, Answers.WithoutRange(Weights));
        AssertWhole(await DownloadAsync(), All);
        Assert.Equal([null, "bytes=30000-"], Hub.Gets(Stored).Select(request => request.Range));
    }

    [Fact]
    public async Task A_server_that_sends_another_part_is_asked_for_the_whole()
    {
        Hub.Fail(Stored, Answers.Beginning(Weights, 30_000, _ => Task.CompletedTask));
        Hub.Fail(
            Stored,
            async context =>
            {
                context.Response.StatusCode = 206;
                context.Response.Headers.ContentRange = $"bytes 20000-{Weights.Length - 1}/{Weights.Length}";
                await context.Response.Body.WriteAsync(Weights.AsMemory(20_000));
            }
        );
        AssertWhole(await DownloadAsync(), All);
        Assert.Equal([null, "bytes=30000-", null], Hub.Gets(Stored).Select(request => request.Range));
    }

    [Fact]
    public async Task A_range_that_cannot_be_satisfied_begins_anew()
    {
        Hub.Fail(Stored, Answers.Beginning(Weights, 30_000, _ => Task.CompletedTask));
        Hub.Fail(Stored, Answers.Error(416));
        AssertWhole(await DownloadAsync(), All);
    }

    [Theory]
    [InlineData("model.safetensors", "SHA-256")]
    [InlineData("config.json", "git hash")]
    public async Task A_wrong_byte_is_an_error_and_nothing_of_it_stays(string name, string hash)
    {
        byte[] wrong = [.. Hub.Files[name].Content];
        wrong[^1] ^= 1;
        Hub.Fail(name == "model.safetensors" ? Stored : name, Answers.Bytes(wrong));
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.StartsWith(
            $"lab/bamba-small: {name}: is damaged: expected the {hash} {Hub.Files[name].Hash}, found ",
            error.Message
        );
        Assert.EndsWith("; it was deleted, try again", error.Message);
        AssertNotUsable();
        Assert.Empty(Directory.EnumerateFiles(Blobs, $"{Hub.Files[name].Hash}*"));
        AssertWhole(await DownloadAsync(), All);
    }

    [Fact]
    public async Task A_damaged_beginning_of_an_earlier_download_is_found()
    {
        Directory.CreateDirectory(Blobs);
        File.WriteAllBytes(Incomplete, new byte[5000]);
        await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.False(File.Exists(Incomplete));
        AssertNotUsable();
        AssertWhole(await DownloadAsync(), All);
    }

    [Fact]
    public async Task A_beginning_that_is_longer_than_the_file_is_dropped()
    {
        Directory.CreateDirectory(Blobs);
        File.WriteAllBytes(Incomplete, new byte[Weights.Length + 1]);
        AssertWhole(await DownloadAsync(), All);
        Assert.Null(Hub.Gets(Stored).Single().Range);
    }

    [Fact]
    public async Task A_file_that_is_longer_than_announced_is_an_error()
    {
        Hub.Fail(Stored, Answers.WithoutRange([.. Weights, 0]));
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.Contains("is damaged: expected 100000 bytes, found more", error.Message);
        AssertNotUsable();
        AssertWhole(await DownloadAsync(), All);
    }

    [Fact]
    public async Task A_limited_rate_is_waited_out_as_long_as_the_hub_says()
    {
        Hub.Fail("revision/main", Answers.Error(429, retry: TimeSpan.FromSeconds(7)));
        Hub.Fail(Stored, Answers.Error(429, retry: TimeSpan.FromSeconds(11)), times: 2);
        AssertWhole(await DownloadAsync(), All);
        Assert.Equal([7, 11, 11], Time.Pauses.Select(pause => pause.TotalSeconds));
    }

    [Fact]
    public async Task A_rate_that_is_limited_for_ever_is_given_up()
    {
        Hub.Fail("revision/main", Answers.Error(429), times: 100);
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.Equal(
            $"lab/bamba-small: {Hub.Endpoint.Authority} limits the rate of requests (429); gave up after 5 attempts",
            error.Message
        );
        Assert.Equal([1, 2, 4, 8], Time.Pauses.Select(pause => pause.TotalSeconds));
        AssertNotUsable();
    }

    [Fact]
    public async Task A_hub_that_wants_hours_is_not_waited_for()
    {
        Hub.Fail("revision/main", Answers.Error(429, retry: TimeSpan.FromHours(1)));
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.EndsWith("; it wants to be asked again in 3600 seconds", error.Message);
        Assert.Empty(Time.Pauses);
    }

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    public async Task A_failing_server_is_asked_again(int status)
    {
        Hub.Fail("config.json", Answers.Error(status), "HEAD");
        Hub.Fail(Stored, Answers.Error(status));
        AssertWhole(await DownloadAsync(), All);
    }

    [Fact(Timeout = 30_000)]
    public async Task A_silent_connection_is_left_and_taken_up_again()
    {
        (Task arrived, IProgress<HubProgress> progress) = Arrival(30_000);
        Hub.Fail(
            Stored,
            Answers.Beginning(
                Weights,
                30_000,
                async context =>
                {
                    await arrived;
                    // The next wait is for what never comes.
                    while (!Time.EndSilence())
                    {
                        await Task.Delay(5, context.RequestAborted);
                    }
                    await Task.Delay(-1, context.RequestAborted);
                }
            )
        );
        HubSnapshot snapshot = await DownloadAsync(
            progress: progress,
            cancellationToken: TestContext.Current.CancellationToken
        );
        AssertWhole(snapshot, All);
        Assert.Equal([null, "bytes=30000-"], Hub.Gets(Stored).Select(request => request.Range));
    }

    [Fact]
    public async Task A_cancelled_download_keeps_what_came_and_goes_on_there()
    {
        Hub.Fail(Stored, Answers.Beginning(Weights, 30_000, context => Task.Delay(-1, context.RequestAborted)));
        using var cancelled = new CancellationTokenSource();
        var progress = new Reports(report =>
        {
            if (report is { File: "model.safetensors", DoneBytes: >= 30_000 })
            {
                cancelled.Cancel();
            }
        });
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
            DownloadAsync(progress: progress, cancellationToken: cancelled.Token)
        );
        AssertNotUsable();
        long here = new FileInfo(Incomplete).Length;
        Assert.InRange(here, 29_000, 30_000);
        AssertWhole(await DownloadAsync(), All);
        Assert.Equal([null, $"bytes={here}-"], Hub.Gets(Stored).Select(request => request.Range));
    }

    [Theory]
    [InlineData(
        401,
        "GatedRepo",
        "lab/bamba-small: its owners grant access on request, at HUB/lab/bamba-small; no token was sent"
    )]
    [InlineData(
        403,
        "GatedRepo",
        "lab/bamba-small: its owners grant access on request, at HUB/lab/bamba-small; no token was sent"
    )]
    [InlineData(401, "RepoNotFound", "lab/bamba-small: HOST has no such model, or it is private; no token was sent")]
    [InlineData(404, "RevisionNotFound", "lab/bamba-small: HOST has no revision 'main' of it (the hub says why)")]
    [InlineData(404, null, "lab/bamba-small: HOST has no such model, or it is private")]
    [InlineData(401, null, "lab/bamba-small: HOST wants to know who asks (401) (the hub says why); no token was sent")]
    [InlineData(403, null, "lab/bamba-small: HOST forbids access (403)")]
    [InlineData(418, null, "lab/bamba-small: HOST answers 418")]
    public async Task A_refusal_says_what_it_means(int status, string? code, string expected)
    {
        Hub.Fail("revision/main", Answers.Error(status, code, "the hub says why"));
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        string host = Hub.Endpoint.Authority;
        Assert.StartsWith(
            expected
                .Replace("HUB", $"http://{host}", StringComparison.Ordinal)
                .Replace("HOST", host, StringComparison.Ordinal),
            error.Message
        );
        Assert.Contains("(the hub says why)", error.Message);
        Assert.Empty(Time.Pauses);
        AssertNotUsable();
    }

    [Fact]
    public async Task A_wrong_token_is_told_from_none()
    {
        Hub.Fail("revision/main", Answers.Error(401));
        var error = await Assert.ThrowsAsync<HubException>(() =>
            DownloadAsync(settings: Settings with { Token = "x" })
        );
        Assert.Contains("refuses the token (401)", error.Message);
        Hub.Fail("revision/main", Answers.Error(403, "GatedRepo"));
        error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync(settings: Settings with { Token = "x" }));
        Assert.Contains("the token that was sent may not read it", error.Message);
    }

    [Theory]
    [InlineData("lab/unknown", "lab/unknown: HOST has no such model, or it is private")]
    [InlineData("lab/bamba-small@v9", "lab/bamba-small: HOST has no revision 'v9' of it")]
    public async Task Unknown_models_and_revisions_are_named(string id, string expected)
    {
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync(HubModelId.Parse(id)));
        Assert.StartsWith(expected.Replace("HOST", Hub.Endpoint.Authority, StringComparison.Ordinal), error.Message);
    }

    [Fact]
    public async Task A_file_that_vanished_is_named()
    {
        Hub.Fail("tokenizer.json", Answers.Error(404, "EntryNotFound"), "HEAD");
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.Equal($"lab/bamba-small: {Hub.Endpoint.Authority} has no file tokenizer.json of it", error.Message);
        AssertNotUsable();
    }

    [Theory]
    [InlineData("config.json", "is no Bamba model: it has neither config.json nor bamba.json")]
    [InlineData("model.safetensors", "has no weights in safetensors")]
    public async Task A_repository_without_a_model_is_refused_before_anything_comes(string missing, string expected)
    {
        Hub.Files.Remove(missing);
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.Contains(expected, error.Message);
        Assert.Single(Hub.Requests);
    }

    [Fact]
    public async Task A_file_without_a_hash_is_refused()
    {
        Hub.Add(Hub.Files["model.safetensors"] with { Hash = "17-abc" });
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.Contains("announces no SHA-256 or git hash to check it by, but \"17-abc\"", error.Message);
        AssertNotUsable();
    }

    [Theory]
    [InlineData("{", "is not JSON")]
    [InlineData("""{"siblings": []}""", "sha: expected a value, found nothing")]
    [InlineData("""{"sha": "../..", "siblings": []}""", "sha: expected a commit")]
    public async Task An_answer_that_is_none_is_refused(string answer, string expected)
    {
        Hub.Fail("revision/main", context => context.Response.WriteAsync(answer));
        var error = await Assert.ThrowsAsync<BambaFormatException>(() => DownloadAsync());
        Assert.Contains(expected, error.Message);
    }

    [Fact]
    public async Task Endless_redirects_end()
    {
        Hub.Fail("revision/main", Answers.RedirectTo("/api/models/lab/bamba-small/revision/main"), times: 100);
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync());
        Assert.EndsWith("redirects more than 10 times", error.Message);
    }

    [Fact]
    public async Task A_hub_that_is_not_there_is_named()
    {
        HubSettings settings = Settings with { Endpoint = new Uri("http://127.0.0.1:1") };
        var error = await Assert.ThrowsAsync<HubException>(() => DownloadAsync(settings: settings));
        Assert.StartsWith("lab/bamba-small: the connection to 127.0.0.1:1 failed: ", error.Message);
        Assert.EndsWith("gave up after 5 attempts", error.Message);
    }

    /// <summary>A task that ends when so many bytes of the weights have arrived, and the progress that it hears of them by.</summary>
    private (Task Arrived, IProgress<HubProgress> Progress) Arrival(int bytes)
    {
        long others = Hub.Files["config.json"].Content.Length + Hub.Files["tokenizer.json"].Content.Length;
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var progress = new Reports(report =>
        {
            if (report.DoneBytes >= others + bytes)
            {
                arrived.TrySetResult();
            }
        });
        return (arrived.Task, progress);
    }
}
