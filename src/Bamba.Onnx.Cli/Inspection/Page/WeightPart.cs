using System.Globalization;
using System.Xml.Linq;
using static Bamba.Onnx.Cli.Inspection.Page.Html;

namespace Bamba.Onnx.Cli.Inspection.Page;

/// <summary>The weights of a page: by element type, by part of the model, and those in fewer bits by their format.</summary>
internal static class WeightPart
{
    public static XElement Draw(ModelPicture picture)
    {
        IReadOnlyDictionary<string, long> types = picture.Inspection.WeightBytes;
        string[] order = [.. types.OrderByDescending(type => type.Value).Select(type => type.Key)];
        double most = picture.Parts.Max(part => part.Bytes);
        return ModelPage.Section(
            "Weights",
            string.Join(", ", order.Select(type => $"{Exact(types[type])} bytes of {type}")),
            Element("p", "key", order.SelectMany(type => new object[] { ModelPage.Swatch(StyleOf(type)), $"{type} " })),
            Table(
                ["part", "", NumberTitle("bytes"), "types"],
                picture.Parts.Select(part =>
                    Row(
                        part.Name,
                        Element(
                            "td",
                            "half",
                            Bar(most, order.Select(type => (StyleOf(type), (double)BytesOf(part, type))))
                        ),
                        Bytes(part.Bytes),
                        string.Join(", ", part.Types.Select(type => type.Type))
                    )
                )
            ),
            picture.Formats.IsEmpty
                ? null
                : Table(
                    [
                        "matrices in fewer bits",
                        NumberTitle("matrices"),
                        NumberTitle("codes"),
                        NumberTitle("scales"),
                        NumberTitle("zero points"),
                    ],
                    picture.Formats.Select(format =>
                        Row(
                            format.Format,
                            Number(format.Matrices.ToString(CultureInfo.InvariantCulture)),
                            Bytes(format.CodeBytes),
                            Bytes(format.ScaleBytes),
                            Bytes(format.ZeroPointBytes)
                        )
                    )
                )
        );

        string StyleOf(string type) =>
            string.Create(CultureInfo.InvariantCulture, $"type{Array.IndexOf(order, type) % 4}");
    }

    private static long BytesOf(PartPicture part, string type) =>
        part.Types.Where(it => it.Type == type).Sum(it => it.Bytes);
}
