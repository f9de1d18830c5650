using System.Globalization;
using System.Xml.Linq;
using Bamba.Onnx.Cli.Help;
using Bamba.Onnx.Cli.Tracing;
using Bamba.Onnx.Contract;
using static Bamba.Onnx.Cli.Inspection.Page.Html;

namespace Bamba.Onnx.Cli.Inspection.Page;

/// <summary>
/// One page that draws a model. It needs nothing but itself: no script, no font, no picture from anywhere, which its own policy also
/// tells the browser.
/// </summary>
internal static class ModelPage
{
    // Kinds of node below it are told together.
    private const double LeastShare = 0.005;

    private const string Policy = "default-src 'none'; style-src 'unsafe-inline'";

    /// <summary>Writes the page, first beside its place, so that no half of one is left there.</summary>
    /// <exception cref="IOException">The place cannot be written.</exception>
    public static void Write(string path, ModelPicture picture, RunTrace? trace)
    {
        string full = Path.GetFullPath(path);
        string temporary = $"{full}.{Guid.NewGuid():N}.tmp";
        try
        {
            File.WriteAllText(
                temporary,
                $"<!DOCTYPE html>\n{Draw(picture, trace).ToString(SaveOptions.DisableFormatting)}\n"
            );
            File.Move(temporary, full, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    private static XElement Draw(ModelPicture picture, RunTrace? trace)
    {
        ModelInspection it = picture.Inspection;
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(it.Folder));
        return Element(
            "html",
            null,
            Attribute("lang", "en"),
            Element(
                "head",
                null,
                Element("meta", null, Attribute("charset", "utf-8")),
                Element("meta", null, Attribute("http-equiv", "Content-Security-Policy"), Attribute("content", Policy)),
                Element(
                    "meta",
                    null,
                    Attribute("name", "viewport"),
                    Attribute("content", "width=device-width, initial-scale=1")
                ),
                Element("title", null, $"{name} – bamba-onnx inspect"),
                Element("style", null, EmbeddedText.Read("page.css"))
            ),
            Element(
                "body",
                null,
                Element("h1", null, name),
                Element("p", "lead", Lead(it)),
                Facts(it),
                LayerPart.Draw(picture, trace),
                Caches(picture),
                WeightPart.Draw(picture),
                trace is null ? null : Time(trace),
                Operators(it),
                Element("footer", null, $"written by bamba-onnx inspect from a folder of {it.Producer}")
            )
        );
    }

    private static string Lead(ModelInspection it) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{it.Parameters:N0} parameters, {it.Dtype}{(it.HasWeights ? "" : ", without weights")}; {it.Model.Layers} layers, {it.Model.AttentionLayers.Count} of them with attention"
        );

    private static XElement Facts(ModelInspection it)
    {
        ModelShape model = it.Model;
        (string Name, string Value)[] facts =
        [
            ("widths", $"hidden {model.HiddenSize}, MLP {model.IntermediateSize}, vocabulary {model.VocabSize}"),
            (
                "attention",
                $"{model.AttentionHeads} heads, {model.KeyValueHeads} of keys and values, {model.HeadDim} wide, {model.RotaryDim} rotated"
            ),
            (
                "Mamba-2",
                $"{model.MambaHeads} heads of {model.MambaHeadDim}, state {model.MambaStateSize}, groups {model.MambaGroups}, convolution {model.MambaConvKernel}"
            ),
            ("context", string.Create(CultureInfo.InvariantCulture, $"{model.ContextLength:N0} tokens")),
            ("needs", $"ONNX Runtime {it.MinimumOnnxruntime} or newer"),
            // A page is shown around: the library's name says enough, and its path tells of a machine.
            ("scan", Path.GetFileName(it.Scan)),
        ];
        return Element(
            "dl",
            null,
            facts.Select(fact => Element("div", null, Element("dt", null, fact.Name), Element("dd", null, fact.Value)))
        );
    }

    private static XElement Caches(ModelPicture picture)
    {
        CacheSizes sizes = picture.Inspection.Caches;
        return Section(
            "States",
            $"{Exact(sizes.StateBytesPerSequence)} bytes a sequence and {Exact(sizes.KeyValueBytesPerToken)} bytes a token",
            CacheChart.Draw(sizes, picture.Inspection.Model.ContextLength),
            Table(
                ["cache", "of each layer", NumberTitle("layers"), NumberTitle("bytes in all"), "for each"],
                picture.Caches.Select(cache =>
                    Row(
                        Element("td", null, Swatch(StyleOf(cache.Kind)), NameOf(cache.Kind)),
                        $"{cache.Example.Type.ShortName()}[{string.Join(", ", cache.Example.Axes)}]",
                        Number(cache.Layers.ToString(CultureInfo.InvariantCulture)),
                        Bytes(cache.Bytes),
                        StyleOf(cache.Kind) == "state" ? "sequence" : "token"
                    )
                )
            )
        );
    }

    private static XElement Time(RunTrace trace)
    {
        TimeSpan own = trace.Time - trace.NodeTime;
        double longest = trace.Kinds.Max(kind => kind.Time.TotalMilliseconds);
        TracePart[] seen = [.. trace.Kinds.TakeWhile(kind => kind.Time >= trace.NodeTime * LeastShare)];
        TracePart[] rest = [.. trace.Kinds.Skip(seen.Length)];
        if (rest.Length > 0)
        {
            TimeSpan time = trace.NodeTime - seen.Aggregate(TimeSpan.Zero, (sum, kind) => sum + kind.Time);
            seen = [.. seen, new TracePart($"{rest.Length} more kinds", rest.Sum(kind => kind.Nodes), time)];
        }
        return Section(
            "Time by kind of node",
            $"{trace.Runs} runs of the model took {Milliseconds(trace.Time)}: {Milliseconds(trace.NodeTime)} in nodes, {Milliseconds(own)} between them{(trace.HasLaunches ? "; nodes on a device have the time of their launch" : "")}",
            Table(
                ["kind", "", NumberTitle("nodes"), NumberTitle("time"), NumberTitle("share of nodes")],
                seen.Select(kind =>
                    Row(
                        kind.Name,
                        Element("td", "half", Bar(longest, ("time", kind.Time.TotalMilliseconds))),
                        Number(string.Create(CultureInfo.InvariantCulture, $"{kind.Nodes:N0}")),
                        Number(Milliseconds(kind.Time)),
                        Number(Percent(kind.Time / trace.NodeTime))
                    )
                )
            )
        );
    }

    private static XElement Operators(ModelInspection it) =>
        Section(
            "Operators",
            "Those with a function in the file run as that function where no library has a kernel for them.",
            it.Graphs.Select(graph =>
                Element(
                    "div",
                    null,
                    Element("h3", null, graph.File),
                    Element(
                        "p",
                        null,
                        $"{Exact(graph.Bytes)} bytes, {graph.Nodes} nodes; IR {graph.IrVersion}, {string.Join(", ", graph.Opsets.Select(opset => $"{opset.Key} {opset.Value}"))}"
                    ),
                    Element("p", "chips", graph.Operators.SelectMany(domain => Chips(graph, domain.Key, domain.Value)))
                )
            )
        );

    private static IEnumerable<XElement> Chips(
        GraphInspection graph,
        string domain,
        IReadOnlyDictionary<string, int> operators
    ) =>
        operators.Select(op =>
            Element(
                "span",
                graph.Functions.Contains($"{domain}::{op.Key}") ? "chip function" : "chip",
                domain == "ai.onnx" ? op.Key : $"{domain}::{op.Key}",
                Element("b", null, $" × {op.Value}"),
                graph.Functions.Contains($"{domain}::{op.Key}") ? Element("small", null, " function in the file") : null
            )
        );

    /// <summary>A part of the page.</summary>
    public static XElement Section(string title, string lead, params IEnumerable<object?> content) =>
        Element("section", null, Element("h2", null, title), Element("p", "lead", lead), content);

    /// <summary>A square in a colour of the drawing, as a key to it.</summary>
    public static XElement Swatch(string style) => Element("i", $"swatch {style}");

    private static string StyleOf(CacheKind kind) => kind is CacheKind.Key or CacheKind.Value ? "keyvalue" : "state";

    private static string NameOf(CacheKind kind) =>
        kind switch
        {
            CacheKind.ConvState => "convolution state",
            CacheKind.RecurrentState => "recurrent state",
            CacheKind.Key => "keys",
            CacheKind.Value => "values",
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, null),
        };
}
