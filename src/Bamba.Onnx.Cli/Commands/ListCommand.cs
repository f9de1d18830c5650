using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Hub;

namespace Bamba.Onnx.Cli.Commands;

/// <summary><c>bamba-onnx list</c>.</summary>
internal static class ListCommand
{
    public static Command Create(CliConsole console)
    {
        var json = new Option<bool>("--json") { Description = "Print as JSON." };
        var command = new Command("list", "Tell which models are at hand.") { json };
        command.SetAction(parsed =>
        {
            var settings = HubSettings.From(console.Variable);
            ListedModel[] models =
            [
                .. InHubCache(new HubCache(settings.HubCacheFolder)),
                .. new ExportCache(settings.ExportCacheFolder).Exports().Select(Of),
            ];
            if (parsed.GetValue(json))
            {
                console.Out.WriteLine(JsonSerializer.Serialize(models, ListJson.Default.ListedModelArray));
            }
            else
            {
                Print(console, models, settings);
            }
            return ExitCode.Success;
        });
        return command;
    }

    private static IEnumerable<ListedModel> InHubCache(HubCache cache) =>
        cache
            .Snapshots()
            .Where(snapshot => snapshot.IsBamba)
            .Select(snapshot => new ListedModel(
                snapshot.Id.Repository,
                snapshot.Commit,
                [.. snapshot.Branches],
                ModelLocator.Locate(snapshot).IsExported ? "exported" : "checkpoint",
                null,
                null,
                snapshot.Bytes,
                snapshot.Folder,
                snapshot.Problem()
            ));

    private static ListedModel Of(KeptExport kept) =>
        new(
            kept.Source.Place,
            kept.Source.Commit,
            [],
            "kept export",
            kept.Dtype.ShortName(),
            QuantizationSummary.Of(ModelManifest.Load(kept.Folder)),
            kept.Bytes,
            kept.Folder,
            null
        );

    private static void Print(CliConsole console, ListedModel[] models, HubSettings settings)
    {
        if (models.Length == 0)
        {
            console.Error.WriteLine($"no model in {settings.HubCacheFolder} or {settings.ExportCacheFolder}");
            return;
        }
        string[][] rows =
        [
            ["MODEL", "REVISION", "KIND", "SIZE"],
            .. models.Select(model => model.Row),
        ];
        int[] widths = [.. Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length))];
        foreach (string[] row in rows)
        {
            console.Out.WriteLine(string.Join("  ", row.Select((cell, i) => cell.PadRight(widths[i]))).TrimEnd());
        }
    }
}

/// <summary>A model at hand.</summary>
/// <param name="Model">What a command takes: an id, or the path of a checkpoint.</param>
/// <param name="Commit">The commit of a model of the hub.</param>
/// <param name="Revisions">Branches and tags that mean the commit.</param>
/// <param name="Kind">Whether it is a checkpoint, exported, or an export that was kept.</param>
/// <param name="Dtype">The element type of a kept export.</param>
/// <param name="Quantization">Which matrices of a kept export have fewer bits.</param>
/// <param name="Bytes">The sizes of its files.</param>
/// <param name="Folder">Where they are.</param>
/// <param name="Problem">Why it cannot be used as it is.</param>
internal sealed record ListedModel(
    string Model,
    string? Commit,
    string[] Revisions,
    string Kind,
    string? Dtype,
    string? Quantization,
    long Bytes,
    string Folder,
    string? Problem
)
{
    private const int ShortCommit = 12;

    /// <summary>Model, revision, kind and size, for people.</summary>
    [JsonIgnore]
    public string[] Row =>
        [
            Model,
            Commit is null ? "-" : string.Join(", ", Revisions.Append(Commit[..ShortCommit])),
            Kind
                + (Dtype is null ? "" : $", {Dtype}")
                + (Quantization is null ? "" : $", {Quantization}")
                + (Problem is null ? "" : $", not whole: {Problem}"),
            string.Create(CultureInfo.InvariantCulture, $"{Bytes / 1e6:N1} MB"),
        ];
}

[JsonSourceGenerationOptions(
    WriteIndented = true,
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull
)]
[JsonSerializable(typeof(ListedModel[]))]
internal sealed partial class ListJson : JsonSerializerContext;
