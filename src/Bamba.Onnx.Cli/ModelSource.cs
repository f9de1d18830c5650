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

    /// <summary>The exported folder of a model, that of a checkpoint in float32.</summary>
    /// <exception cref="BambaFormatException">There is no such model.</exception>
    /// <exception cref="HubException">The hub does not give it.</exception>
    public static async Task<string> ResolveAsync(
        CliConsole console,
        ModelRequest request,
        CancellationToken cancellationToken
    )
    {
        LocatedModel located = await LocateAsync(console, request, HubContent.Model, cancellationToken)
            .ConfigureAwait(false);
        var form = new ExportForm(ElementType.Float32);
        return located.IsExported
            ? located.Folder
            : await ExportAsync(
                    console,
                    request,
                    located,
                    form,
                    _ => new ExportOptions { Dtype = form.Dtype },
                    cancellationToken
                )
                .ConfigureAwait(false);
    }

    /// <summary>The kept export of a checkpoint, made where there is none.</summary>
    /// <param name="console">Gets the progress.</param>
    /// <param name="request">What the user calls the checkpoint.</param>
    /// <param name="located">The checkpoint.</param>
    /// <param name="form">In what form it is exported.</param>
    /// <param name="options">The options that make it so, of the checkpoint's folder; asked only where there is no export yet.</param>
    /// <param name="cancellationToken">Ends the export.</param>
    public static async Task<string> ExportAsync(
        CliConsole console,
        ModelRequest request,
        LocatedModel located,
        ExportForm form,
        Func<string, ExportOptions> options,
        CancellationToken cancellationToken
    )
    {
        var exports = new ExportCache(HubSettings.From(console.Variable).ExportCacheFolder);
        KeptExport kept = await exports
            .GetOrMakeAsync(
                ExportSource.Of(located.Folder),
                form,
                ExporterBuild,
                target =>
                {
                    console.Error.WriteLine($"exporting {request.Model ?? located.Folder} to {exports.Folder}");
                    ExportCommand.Run(console, located.Folder, target, options(located.Folder), cancellationToken);
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
