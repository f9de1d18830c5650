using Bamba.Onnx.Cli.Commands;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter;
using Bamba.Onnx.Hub;

namespace Bamba.Onnx.Cli;

/// <summary>
/// Finds the model that a user asks for: a folder, or a model of the hub, downloaded where that is allowed. A checkpoint becomes an
/// export, made once and kept.
/// </summary>
internal static class ModelSource
{
    /// <summary>The small model that comes with the command.</summary>
    public static string ShippedModel => Path.Combine(AppContext.BaseDirectory, "models", "bamba-tiny-shakespeare");

    // Another build may write other graphs.
    private static string ExporterBuild => typeof(BambaExporter).Module.ModuleVersionId.ToString("N");

    /// <summary>The exported folder of a model.</summary>
    /// <exception cref="BambaFormatException">There is no such model.</exception>
    /// <exception cref="HubException">The hub does not give it.</exception>
    public static async Task<string> ResolveAsync(
        CliConsole console,
        ModelRequest request,
        ExportOptions options,
        CancellationToken cancellationToken
    )
    {
        var settings = HubSettings.From(console.Variable);
        var exports = new ExportCache(settings.ExportCacheFolder);
        LocatedModel located = await LocateAsync(console, request, HubContent.Model, cancellationToken)
            .ConfigureAwait(false);
        if (located.IsExported)
        {
            return located.Folder;
        }
        KeptExport kept = await exports
            .GetOrMakeAsync(
                ExportSource.Of(located.Folder),
                options.Dtype ?? ElementType.Float32,
                ExporterBuild,
                target =>
                {
                    console.Error.WriteLine($"exporting {request.Model ?? located.Folder} to {exports.Folder}");
                    ExportCommand.Run(console, located.Folder, target, options, cancellationToken);
                },
                cancellationToken
            )
            .ConfigureAwait(false);
        return kept.Folder;
    }

    /// <summary>The folder of a model as it is, exported or not.</summary>
    /// <exception cref="BambaFormatException">There is no such model.</exception>
    /// <exception cref="HubException">The hub does not give it.</exception>
    public static async Task<LocatedModel> LocateAsync(
        CliConsole console,
        ModelRequest request,
        HubContent content,
        CancellationToken cancellationToken
    )
    {
        var settings = HubSettings.From(console.Variable);
        string model = request.Model ?? ShippedModel;
        if (request.Download && ModelLocator.IsOfHub(model, request.Revision, out HubModelId? id))
        {
            using var client = new HubClient(settings);
            using var progress = new DownloadProgressDisplay(console);
            return ModelLocator.Locate(
                await client.DownloadAsync(id, content, progress, cancellationToken).ConfigureAwait(false)
            );
        }
        var locator = new ModelLocator(
            new HubCache(settings.HubCacheFolder),
            new ExportCache(settings.ExportCacheFolder)
        );
        return locator.Locate(model, request.Revision, content);
    }
}
