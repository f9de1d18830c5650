using System.Globalization;
using System.Xml.Linq;

namespace Bamba.Onnx.Cli.Inspection.Page;

/// <summary>Draws what the caches of a sequence take, from its first token to the longest that the model takes.</summary>
internal static class CacheChart
{
    private const double Width = 640;
    private const double Height = 200;
    private const double Left = 92;
    private const double Bottom = 26;
    private const double Top = 14;

    public static XElement Draw(CacheSizes sizes, int contextLength)
    {
        long most = sizes.StateBytesPerSequence + (sizes.KeyValueBytesPerToken * contextLength);
        double floor = Height - Bottom;
        double states = Y(sizes.StateBytesPerSequence);
        string whole = Html.Rounded(most);
        return Html.Element(
            "svg",
            "chart",
            Html.Attribute("viewBox", string.Create(CultureInfo.InvariantCulture, $"0 0 {Width} {Height}")),
            Html.Attribute("role", "img"),
            Html.Attribute("aria-label", $"Bytes of a sequence's caches by its length, up to {whole}"),
            Area("keyvalue", (Left, states), (Width, states), (Width, Y(most))),
            Area("state", (Left, floor), (Width, floor), (Width, states), (Left, states)),
            Line(Left, floor, Width, floor),
            Text(Left - 6, Math.Min(states + 4, floor), "end", Html.Rounded(sizes.StateBytesPerSequence)),
            // Where keys and values are little beside states, their label would lie on that of states.
            states - Y(most)
            > 14
                ? Text(Left - 6, Y(most) + 4, "end", whole)
                : null,
            Text(Left, Height - 6, "start", "0 tokens"),
            Text(
                Width,
                Height - 6,
                "end",
                string.Create(CultureInfo.InvariantCulture, $"{contextLength:N0} tokens, {whole}")
            )
        );

        double Y(double bytes) => most == 0 ? floor : floor - (bytes / most * (floor - Top));
    }

    private static XElement Area(string style, params (double X, double Y)[] points) =>
        Html.Element(
            "path",
            style,
            Html.Attribute(
                "d",
                $"M{string.Join(" L", points.Select(point => $"{Html.Coordinate(point.X)} {Html.Coordinate(point.Y)}"))} Z"
            )
        );

    private static XElement Line(double x1, double y1, double x2, double y2) =>
        Html.Element(
            "line",
            null,
            Html.Attribute("x1", Html.Coordinate(x1)),
            Html.Attribute("y1", Html.Coordinate(y1)),
            Html.Attribute("x2", Html.Coordinate(x2)),
            Html.Attribute("y2", Html.Coordinate(y2))
        );

    private static XElement Text(double x, double y, string anchor, string text) =>
        Html.Element(
            "text",
            null,
            Html.Attribute("x", Html.Coordinate(x)),
            Html.Attribute("y", Html.Coordinate(y)),
            Html.Attribute("text-anchor", anchor),
            text
        );
}
