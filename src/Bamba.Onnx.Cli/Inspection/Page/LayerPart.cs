using System.Globalization;
using System.Xml.Linq;
using Bamba.Onnx.Cli.Tracing;
using Bamba.Onnx.Contract;
using static Bamba.Onnx.Cli.Inspection.Page.Html;

namespace Bamba.Onnx.Cli.Inspection.Page;

/// <summary>The layers of a page: a chain of tiles, then a line for each.</summary>
internal static class LayerPart
{
    public static XElement Draw(ModelPicture picture, RunTrace? trace)
    {
        int attention = picture.Layers.Count(layer => layer.Kind == LayerKind.Attention);
        return ModelPage.Section(
            "Layers",
            $"{picture.Layers.Length - attention} with a Mamba-2 mixer, {attention} with attention; each with an MLP behind it",
            Element("ol", "chain", picture.Layers.Select(Tile)),
            Element(
                "p",
                "key",
                ModelPage.Swatch("mamba"),
                "Mamba-2 ",
                ModelPage.Swatch("attention"),
                "attention ",
                ModelPage.Swatch("mlp"),
                "MLP ",
                trace is null ? null : new object[] { ModelPage.Swatch("time"), "time in its nodes" }
            ),
            Table(
                [
                    NumberTitle("layer"),
                    "mixer",
                    Element("th", "spare", "weights"),
                    NumberTitle("bytes"),
                    NumberTitle("bytes of caches"),
                    .. trace is null ? Array.Empty<object>() : ["time", ""],
                ],
                picture.Layers.Select(layer => Line(picture, layer, trace))
            ),
            trace is null
                ? null
                : Element(
                    "p",
                    "lead",
                    $"{Milliseconds(trace.OutsideLayers)} in nodes outside of layers: embedding, positions, head"
                )
        );
    }

    private static XElement Tile(LayerPicture layer) =>
        Element(
            "li",
            StyleOf(layer.Kind),
            Attribute(
                "title",
                $"layer {layer.Index}: {NameOf(layer.Kind)}, {Exact(layer.WeightBytes)} bytes of weights"
            ),
            layer.Index.ToString(CultureInfo.InvariantCulture)
        );

    private static XElement Line(ModelPicture picture, LayerPicture layer, RunTrace? trace)
    {
        double most = picture.Layers.Max(it => it.WeightBytes);
        XElement row = Row(
            Number(layer.Index.ToString(CultureInfo.InvariantCulture)),
            Element("td", null, ModelPage.Swatch(StyleOf(layer.Kind)), NameOf(layer.Kind)),
            Element("td", "spare", Bar(most, (StyleOf(layer.Kind), layer.MixerBytes), ("mlp", layer.MlpBytes))),
            Bytes(layer.WeightBytes),
            Element("td", "number caches", CachesOf(layer))
        );
        row.SetAttributeValue("data-layer", layer.Index);
        if (trace is not null)
        {
            TimeSpan time = trace.Layers.GetValueOrDefault(layer.Index);
            TimeSpan longest = trace.Layers.Values.DefaultIfEmpty().Max();
            row.Add(
                Element(
                    "td",
                    null,
                    Bar(Math.Max(longest.TotalMilliseconds, double.Epsilon), ("time", time.TotalMilliseconds))
                ),
                Number(Milliseconds(time))
            );
        }
        return row;
    }

    private static string CachesOf(LayerPicture layer) =>
        layer.Kind == LayerKind.Mamba ? $"{Exact(layer.StateBytes)} a sequence" : $"{Exact(layer.TokenBytes)} a token";

    private static string StyleOf(LayerKind kind) => kind == LayerKind.Mamba ? "mamba" : "attention";

    private static string NameOf(LayerKind kind) => kind == LayerKind.Mamba ? "Mamba-2" : "attention";
}
