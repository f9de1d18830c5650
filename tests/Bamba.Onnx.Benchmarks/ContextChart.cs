using System.Globalization;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Benchmarks;

/// <summary>Draws the record of <see cref="ContextTime"/>: what attention reads on top of what every token takes.</summary>
internal static class ContextChart
{
    private const double Width = 640;
    private const double Height = 300;
    private const double Left = 60;
    private const double Right = 20;
    private const double Top = 40;
    private const double Bottom = 40;
    private const string RestColor = "#3b6ea5";
    private const string AttentionColor = "#d98032";
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    /// <summary>Writes the picture beside the record.</summary>
    public static void Write()
    {
        string folder = Path.Combine(TestData.Root, "tests", "measured");
        string record = Path.Combine(folder, ContextTime.Record);
        JsonArray depths = JsonNode.Parse(File.ReadAllText(record))!["by_depth"]!.AsArray();
        File.WriteAllText(Path.ChangeExtension(record, ".svg"), Draw(depths) + "\n");
    }

    private static XElement Draw(JsonArray depths)
    {
        (double Depth, double Others, double Whole)[] points =
        [
            .. depths.Select(it => (Of(it!, "depth"), Of(it!, "rest_milliseconds"), Of(it!, "milliseconds"))),
        ];
        // Whole steps of the axis, of which the longest time takes the last.
        double step = points.Max(point => point.Whole) > 50 ? 20 : 5;
        double most = step * Math.Ceiling(points.Max(point => point.Whole) / step);
        double floor = Height - Bottom;
        var picture = new XElement(
            Svg + "svg",
            new XAttribute("viewBox", FormattableString.Invariant($"0 0 {Width} {Height}")),
            new XAttribute("width", Width),
            new XAttribute("height", Height),
            new XAttribute("font-family", "sans-serif"),
            new XAttribute("font-size", 12),
            new XElement(
                Svg + "rect",
                Attributes(("width", Width), ("height", Height)),
                new XAttribute("fill", "white")
            ),
            Text(Left, 18, "start", "milliseconds of a decoded token, by the tokens before it"),
            Area(RestColor, [.. points.Select(point => (point.Depth, 0.0)), .. Back(point => point.Others)]),
            Area(
                AttentionColor,
                [.. points.Select(point => (point.Depth, point.Others)), .. Back(point => point.Whole)]
            )
        );
        for (double tick = 0; tick <= most; tick += step)
        {
            picture.Add(Line(Left, Y(tick), Width - Right, Y(tick)), Text(Left - 6, Y(tick) + 4, "end", Number(tick)));
        }
        foreach ((double depth, _, double whole) in points)
        {
            string anchor = depth == points[^1].Depth ? "end" : "start";
            picture.Add(
                Text(X(depth), floor + 16, anchor, depth.ToString("N0", CultureInfo.InvariantCulture)),
                Text(X(depth), Y(whole) - 6, anchor, Number(whole))
            );
        }
        double label = (points[0].Depth + points[^1].Depth) / 2;
        picture.Add(
            Text(X(label), Y(points[0].Others / 2), "middle", "all but attention", "white"),
            Text(Width - Right, Height - 8, "end", "attention layers, reading keys and values", AttentionColor)
        );
        return picture;

        double X(double depth) => Left + ((Width - Left - Right) * depth / points[^1].Depth);

        double Y(double milliseconds) => floor - ((floor - Top) * milliseconds / most);

        IEnumerable<(double, double)> Back(Func<(double Depth, double Others, double Whole), double> value) =>
            points.Reverse().Select(point => (point.Depth, value(point)));

        XElement Area(string color, (double Depth, double Milliseconds)[] outline) =>
            new(
                Svg + "polygon",
                new XAttribute("fill", color),
                new XAttribute(
                    "points",
                    string.Join(' ', outline.Select(at => $"{Number(X(at.Depth))},{Number(Y(at.Milliseconds))}"))
                )
            );
    }

    private static XElement Line(double x1, double y1, double x2, double y2) =>
        new(
            Svg + "line",
            Attributes(("x1", x1), ("y1", y1), ("x2", x2), ("y2", y2)),
            new XAttribute("stroke", "#00000022")
        );

    private static XElement Text(double x, double y, string anchor, string text, string color = "#333") =>
        new(
            Svg + "text",
            Attributes(("x", x), ("y", y)),
            new XAttribute("text-anchor", anchor),
            new XAttribute("fill", color),
            text
        );

    private static IEnumerable<XAttribute> Attributes(params (string Name, double Value)[] attributes) =>
        attributes.Select(attribute => new XAttribute(attribute.Name, Number(attribute.Value)));

    private static double Of(JsonNode item, string name) => item[name]!.GetValue<double>();

    private static string Number(double value) => value.ToString("0.#", CultureInfo.InvariantCulture);
}
