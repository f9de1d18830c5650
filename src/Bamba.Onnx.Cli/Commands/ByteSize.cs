using System.Globalization;

namespace Bamba.Onnx.Cli.Commands;

/// <summary>Sizes as Hugging Face's tools take them: 500MB, 4GB by powers of ten, 2GiB by powers of two, or bytes.</summary>
internal static class ByteSize
{
    private static readonly (string Suffix, long Bytes)[] Units =
    [
        ("KiB", 1L << 10),
        ("MiB", 1L << 20),
        ("GiB", 1L << 30),
        ("TiB", 1L << 40),
        ("KB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("B", 1),
        ("", 1),
    ];

    /// <summary>Reads a size of at least one byte, whole or with a fraction of its unit, in upper or lower case.</summary>
    public static bool TryParse(string text, out long bytes)
    {
        (string suffix, long unit) = Units.First(unit =>
            text.EndsWith(unit.Suffix, StringComparison.OrdinalIgnoreCase)
        );
        bool isNumber = decimal.TryParse(
            text.AsSpan(0, text.Length - suffix.Length),
            NumberStyles.AllowDecimalPoint | NumberStyles.AllowTrailingWhite,
            CultureInfo.InvariantCulture,
            out decimal number
        );
        bool fits = isNumber && number * unit is >= 1 and <= long.MaxValue;
        bytes = fits ? (long)(number * unit) : 0;
        return fits;
    }
}
