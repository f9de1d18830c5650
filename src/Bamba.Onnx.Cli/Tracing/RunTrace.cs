using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Cli.Tracing;

/// <summary>Where the time of a model's runs went, from the profile that ONNX Runtime writes.</summary>
internal sealed partial record RunTrace
{
    private const string NodeSuffix = "_kernel_time";
    private const char PathStart = '/';
    private const string Processor = "CPUExecutionProvider";

    /// <summary>Calls of the model.</summary>
    public required int Runs { get; init; }

    /// <summary>The time of all of them.</summary>
    public required TimeSpan Time { get; init; }

    /// <summary>By kind of node, the longest first: an operator, or a function of the model's file as one.</summary>
    public required IReadOnlyList<TracePart> Kinds { get; init; }

    /// <summary>By decoder layer, in order; what belongs to none is left out.</summary>
    public required IReadOnlyDictionary<int, TimeSpan> Layers { get; init; }

    /// <summary>The time of nodes before, between and after layers: embedding, positions, the head.</summary>
    public required TimeSpan OutsideLayers { get; init; }

    /// <summary>Whether nodes ran on a device: they have the time of their launch.</summary>
    public required bool HasLaunches { get; init; }

    /// <summary>The time of all nodes. The rest of <see cref="Time"/> is ONNX Runtime's own.</summary>
    public TimeSpan NodeTime => Kinds.Aggregate(TimeSpan.Zero, (sum, kind) => sum + kind.Time);

    /// <exception cref="BambaFormatException">The file is missing, or is no profile with a run and its nodes in it.</exception>
    public static RunTrace Read(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            List<TraceEvent> events =
                JsonSerializer.Deserialize(stream, TraceJson.Default.ListTraceEvent)
                ?? throw new BambaFormatException(path, "expected a list of events, found null");
            return Of(events, path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BambaFormatException(path, "no such file", e);
        }
        catch (JsonException e)
        {
            throw new BambaFormatException(path, $"is no profile of ONNX Runtime: {e.Message}", e);
        }
    }

    /// <summary>Refuses to be drawn with a model of fewer layers.</summary>
    /// <exception cref="BambaException">The runs were of another model.</exception>
    public void RequireLayers(int layers)
    {
        if (Layers.Keys.DefaultIfEmpty().Max() is var last && last >= layers)
        {
            throw new BambaException(
                $"--trace: expected a profile of this model, whose layers are 0 to {layers - 1}; found layer {last}"
            );
        }
    }

    private static RunTrace Of(List<TraceEvent> events, string path)
    {
        TraceEvent[] runs = [.. events.Where(it => it is { Category: "Session", Name: "model_run" })];
        if (runs.Length == 0)
        {
            throw new BambaFormatException(path, "expected a profile with a model_run in it, found none");
        }
        var kinds = new Dictionary<string, (int Count, long Microseconds)>();
        var layers = new Dictionary<int, long>();
        long outside = 0;
        bool launches = false;
        int? layer = null;
        long end = long.MinValue;
        // A node whose body runs other nodes began before them and ends after: its time is theirs too.
        foreach (
            TraceEvent node in events
                .Where(it => it.Category == "Node" && it.Name.EndsWith(NodeSuffix, StringComparison.Ordinal))
                .OrderBy(it => it.Start)
                .ThenByDescending(it => it.Duration)
        )
        {
            if (node.Start < end && node.Start + node.Duration <= end)
            {
                continue;
            }
            launches |= node.Arguments?.Provider is not (null or Processor);
            end = node.Start + node.Duration;
            layer = LayerOf(node.Name, layer);
            string kind = KindOf(node);
            (int count, long time) = kinds.GetValueOrDefault(kind);
            kinds[kind] = (count + 1, time + node.Duration);
            if (layer is { } index)
            {
                layers[index] = layers.GetValueOrDefault(index) + node.Duration;
            }
            else
            {
                outside += node.Duration;
            }
        }
        if (kinds.Count == 0)
        {
            throw new BambaFormatException(path, "expected a profile with nodes in it, found none");
        }
        return new RunTrace
        {
            Runs = runs.Length,
            Time = Microseconds(runs.Sum(run => run.Duration)),
            Kinds =
            [
                .. kinds
                    .OrderByDescending(kind => kind.Value.Microseconds)
                    .Select(kind => new TracePart(kind.Key, kind.Value.Count, Microseconds(kind.Value.Microseconds))),
            ],
            Layers = layers.ToDictionary(item => item.Key, item => Microseconds(item.Value)),
            OutsideLayers = Microseconds(outside),
            HasLaunches = launches,
        };
    }

    /// <summary>
    /// The layer that a node belongs to. Nodes that ONNX Runtime put in, those of functions above all, have no path for a name, and
    /// run between those of the layer that they serve.
    /// </summary>
    private static int? LayerOf(string name, int? last) =>
        LayerOfName().Match(name) is { Success: true } match
            ? int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture)
        : !name.StartsWith(PathStart) ? last
        : null;

    private static string KindOf(TraceEvent node) =>
        FunctionOfName().Match(node.Name) is { Success: true } match
            ? $"{match.Groups[1].Value} (function)"
            : node.Arguments?.Operator ?? "unknown";

    private static TimeSpan Microseconds(long count) => TimeSpan.FromMicroseconds(count);

    [GeneratedRegex(@"/layers\.(\d+)/")]
    private static partial Regex LayerOfName();

    [GeneratedRegex("^_inlfunc_([A-Za-z0-9]+)_")]
    private static partial Regex FunctionOfName();
}

/// <summary>The nodes of a kind in a trace.</summary>
/// <param name="Name">The kind.</param>
/// <param name="Nodes">How often one of them ran.</param>
/// <param name="Time">How long they ran together.</param>
internal sealed record TracePart(string Name, int Nodes, TimeSpan Time);

/// <summary>An event of Chrome's trace format; times in microseconds.</summary>
internal sealed record TraceEvent(
    [property: JsonPropertyName("cat"), JsonRequired] string Category,
    [property: JsonPropertyName("name"), JsonRequired] string Name,
    [property: JsonPropertyName("ts"), JsonRequired] long Start,
    [property: JsonPropertyName("dur"), JsonRequired] long Duration,
    [property: JsonPropertyName("args")] TraceArguments? Arguments
);

/// <summary>What ONNX Runtime says of a node besides its time.</summary>
internal sealed record TraceArguments(
    [property: JsonPropertyName("op_name")] string? Operator,
    [property: JsonPropertyName("provider")] string? Provider
);

[JsonSerializable(typeof(List<TraceEvent>))]
internal sealed partial class TraceJson : JsonSerializerContext;
