using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hub.Tests;

/// <summary>A hub, an empty cache and a client between them.</summary>
public abstract class HubClientTest : IAsyncLifetime
{
    private readonly TemporaryFolder folder = new();

    internal TestHub Hub { get; private set; } = null!;

    internal ImpatientTime Time { get; } = new();

    internal HubModelId Id { get; } = HubModelId.Parse(TestHub.Model);

    internal string Cache => folder["hub"];

    internal string Blobs => Path.Combine(Cache, "models--lab--bamba-small", "blobs");

    internal HubSettings Settings =>
        HubSettings.From(name =>
            name switch
            {
                "HF_HOME" => folder.Path,
                "HF_ENDPOINT" => Hub.Endpoint.AbsoluteUri,
                _ => null,
            }
        );

    public async ValueTask InitializeAsync() => Hub = await TestHub.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await Hub.DisposeAsync();
        folder.Dispose();
        GC.SuppressFinalize(this);
    }

    internal async Task<HubSnapshot> DownloadAsync(
        HubModelId? id = null,
        HubSettings? settings = null,
        HubContent content = HubContent.Model,
        IProgress<HubProgress>? progress = null,
        CancellationToken? cancellationToken = null
    )
    {
        using var client = new HubClient(settings ?? Settings, Time);
        return await client.DownloadAsync(
            id ?? Id,
            content,
            progress,
            cancellationToken ?? TestContext.Current.CancellationToken
        );
    }

    /// <summary>Whether every file of a snapshot is the hub's, and nothing half-done is left.</summary>
    internal void AssertWhole(HubSnapshot snapshot, params string[] names)
    {
        Assert.Equal(
            names.Order(StringComparer.Ordinal),
            Directory
                .EnumerateFiles(snapshot.Folder)
                .Select(file => Path.GetFileName(file))
                .Order(StringComparer.Ordinal)
        );
        Assert.All(
            names,
            name => Assert.Equal(Hub.Files[name].Content, File.ReadAllBytes(Path.Combine(snapshot.Folder, name)))
        );
        Assert.Empty(Directory.EnumerateFiles(Blobs, "*.incomplete"));
    }

    /// <summary>Whether the cache offers nothing as this model.</summary>
    internal void AssertNotUsable()
    {
        Assert.Throws<Contract.BambaFormatException>(() => new HubCache(Cache).Resolve(Id));
        if (Directory.Exists(Blobs))
        {
            // What has a blob's name is right to the last byte.
            Assert.All(
                Directory.EnumerateFiles(Blobs).Where(blob => !blob.EndsWith(".incomplete", StringComparison.Ordinal)),
                blob =>
                    Assert.Equal(
                        Hub.Files.Values.Single(file => file.Hash == Path.GetFileName(blob)).Content,
                        File.ReadAllBytes(blob)
                    )
            );
        }
    }

    internal sealed class Reports(Action<HubProgress> report) : IProgress<HubProgress>
    {
        public void Report(HubProgress value) => report(value);
    }
}
