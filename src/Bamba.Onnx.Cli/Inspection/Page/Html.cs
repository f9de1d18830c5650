using System.Globalization;
using System.Xml.Linq;

namespace Bamba.Onnx.Cli.Inspection.Page;

/// <summary>
/// Elements of a page. They are built as a tree and written at the end, so that no text can become markup, whatever is in a model's
/// files. Every element but the void ones gets an end tag, as HTML wants.
/// </summary>
internal static class Html
{
    private static readonly HashSet<string> Void = ["meta", "br", "line", "path", "rect"];

    /// <summary>An element of a class.</summary>
    public static XElement Element(string name, string? style, params IEnumerable<object?> content)
    {
        var element = new XElement(name, content);
        if (style is not null)
        {
            element.SetAttributeValue("class", style);
        }
        if (element.IsEmpty && !Void.Contains(name))
        {
            element.Add("");
        }
        return element;
    }

    /// <summary>An attribute.</summary>
    public static XAttribute Attribute(string name, string value) => new(name, value);

    /// <summary>A bar of parts, as long as their share of a whole.</summary>
    /// <param name="whole">What fills the bar; not 0 unless all parts are.</param>
    /// <param name="parts">Classes and lengths of the parts.</param>
    public static XElement Bar(double whole, params IEnumerable<(string Style, double Length)> parts) =>
        Element(
            "div",
            "bar",
            parts
                .Where(part => part.Length > 0)
                .Select(part => Element("i", part.Style, Attribute("style", $"width:{Percent(part.Length / whole)}")))
        );

    /// <summary>A table with a line of titles, each a text or a <see cref="NumberTitle"/>.</summary>
    public static XElement Table(IEnumerable<object> titles, IEnumerable<XElement> rows) =>
        Element(
            "div",
            "wide",
            Element(
                "table",
                null,
                Element(
                    "thead",
                    null,
                    Element("tr", null, titles.Select(title => title as XElement ?? Element("th", null, title)))
                ),
                Element("tbody", null, rows)
            )
        );

    /// <summary>The title of a column of numbers.</summary>
    public static XElement NumberTitle(string text) => Element("th", "number", text);

    /// <summary>A row of a table.</summary>
    public static XElement Row(params IEnumerable<object> cells) =>
        Element(
            "tr",
            null,
            cells.Select(cell => cell is XElement { Name.LocalName: "td" } ? cell : Element("td", null, cell))
        );

    /// <summary>A cell with a number.</summary>
    public static XElement Number(string text) => Element("td", "number", text);

    /// <summary>Bytes to compare with what inspect prints, and as people say them.</summary>
    public static XElement Bytes(long bytes) =>
        Element("td", "number", Exact(bytes), bytes < 1024 ? null : Element("small", null, " " + Rounded(bytes)));

    /// <summary>Bytes as inspect prints them.</summary>
    public static string Exact(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes:N0}");

    /// <summary>Bytes in the unit that gives one to three digits before the point.</summary>
    public static string Rounded(double bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB"];
        int unit = 0;
        while (bytes >= 1024 && unit < units.Length - 1)
        {
            bytes /= 1024;
            unit++;
        }
        return string.Create(CultureInfo.InvariantCulture, $"{bytes:G3} {units[unit]}");
    }

    /// <summary>A share, as style sheets and people write it.</summary>
    public static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{share * 100:0.0}%");

    /// <summary>A coordinate of a drawing.</summary>
    public static string Coordinate(double value) => string.Create(CultureInfo.InvariantCulture, $"{value:0.##}");

    /// <summary>A time, in milliseconds.</summary>
    public static string Milliseconds(TimeSpan time) =>
        string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:N1} ms");
}
