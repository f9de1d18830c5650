using System.Collections.Immutable;

namespace Bamba.Onnx.Contract;

/// <summary>
/// Where the graphs of an export and their weights lie. There is one weights file, or one series of them, whatever the profiles:
/// ONNX Runtime follows references into folders below a graph but not above it, so that with <see cref="GraphProfile.Web"/> they lie
/// beside that graph.
/// </summary>
/// <param name="Profiles">The graphs of the export.</param>
/// <param name="WebDtype">The type that names the graph of <see cref="GraphProfile.Web"/>; null without that profile.</param>
public sealed record ExportLayout(ImmutableArray<GraphProfile> Profiles, WebDtype? WebDtype)
{
    /// <summary>The folder in which transformers.js looks for graphs.</summary>
    public const string WebFolder = "onnx";

    /// <summary>
    /// The most bytes of a file of weights with <see cref="GraphProfile.Web"/>: those of a browser's largest buffer, Chrome's 2 GiB less
    /// 2 MiB, as ONNX Runtime Web's page on large models has it.
    /// </summary>
    public const long MostWebFileBytes = 0x7FE0_0000;

    /// <summary>The most files of weights with <see cref="GraphProfile.Web"/>: transformers.js refuses more.</summary>
    public const int MostWebFiles = 100;

    private const string WebGraph = "model";

    /// <summary>The profiles of an export whose caller chose none.</summary>
    public static ImmutableArray<GraphProfile> DefaultProfiles { get; } = [GraphProfile.Portable, GraphProfile.Runtime];

    /// <summary>The weights file, the first of several, relative to the export's folder, with <c>/</c> between folders.</summary>
    public string Weights => WebDtype is null ? ModelFiles.Weights : $"{Graph(GraphProfile.Web)}_data";

    /// <summary>The file of a profile's graph, relative to the export's folder, with <c>/</c> between folders.</summary>
    /// <exception cref="ArgumentException">The export has no such graph.</exception>
    public string Graph(GraphProfile profile) =>
        !Profiles.Contains(profile)
            ? throw new ArgumentException(
                $"expected one of the export's profiles, {string.Join(", ", Profiles)}; found {profile}",
                nameof(profile)
            )
        : profile == GraphProfile.Web ? $"{WebFolder}/{WebGraph}{WebDtype!.Value.FileSuffix()}.onnx"
        : ModelFiles.Graph(profile);

    /// <summary>The weights file as the graph of a profile refers to it, relative to that graph's folder.</summary>
    public string WeightsSeenFrom(GraphProfile profile) =>
        profile == GraphProfile.Web ? Path.GetFileName(Weights) : Weights;

    /// <summary>The most bytes of a weights file; null where there is no limit.</summary>
    /// <param name="asked">What the caller of an export chose, null for no limit.</param>
    public long? MostFileBytes(long? asked) =>
        WebDtype is null ? asked : Math.Min(asked ?? MostWebFileBytes, MostWebFileBytes);

    /// <summary>Whether a file of the folder holds weights, all or some.</summary>
    /// <param name="name">The file, from the folder on.</param>
    public bool IsWeights(string name) => ModelFiles.IsWeights(name, Weights);
}
