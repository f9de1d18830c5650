using System.Buffers.Binary;
using System.Text;

namespace Bamba.Onnx.Exporter.Torch;

/// <summary>
/// Edits the versions that a 64-bit little-endian ELF library requires of others (the <c>SHT_GNU_verneed</c> section of
/// the Linux Standard Base). The dynamic linker refuses a library whose dependency lacks a required version, unless the
/// requirement carries the weak flag.
/// </summary>
internal static class ElfVersionNeeds
{
    private const uint VersionNeedSection = 0x6ffffffe;
    private const ushort WeakFlag = 0x2;
    private const int SectionHeaderBytes = 64;

    private static ReadOnlySpan<byte> Elf64LittleEndian => [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1];

    /// <summary>Makes every requirement of <paramref name="version"/> weak, in place.</summary>
    /// <returns>How many requirements there were.</returns>
    /// <exception cref="InvalidDataException"><paramref name="image"/> is not such a library, or its tables are damaged.</exception>
    public static int MakeWeak(Span<byte> image, string version)
    {
        if (!image.StartsWith(Elf64LittleEndian))
        {
            throw new InvalidDataException("expected a 64-bit little-endian ELF file");
        }
        int found = 0;
        ulong sectionsOffset = UInt64(image, 0x28);
        int sectionBytes = UInt16(image, 0x3a);
        int sections = UInt16(image, 0x3c);
        if (sectionBytes < SectionHeaderBytes && sections > 0)
        {
            throw new InvalidDataException(
                $"expected section headers of {SectionHeaderBytes} bytes, found {sectionBytes}"
            );
        }
        for (int i = 0; i < sections; i++)
        {
            ulong header = sectionsOffset + ((ulong)i * (ulong)sectionBytes);
            _ = Field(image, header, sectionBytes);
            if (UInt32(image, header + 4) != VersionNeedSection)
            {
                continue;
            }
            uint link = UInt32(image, header + 40);
            ulong namesHeader = sectionsOffset + ((ulong)link * (ulong)sectionBytes);
            found += MakeWeak(image, UInt64(image, header + 24), UInt64(image, namesHeader + 24), version);
        }
        return found;
    }

    /// <summary>Walks the libraries of one section, and the versions required of each.</summary>
    private static int MakeWeak(Span<byte> image, ulong library, ulong names, string version)
    {
        int found = 0;
        while (true)
        {
            int versions = UInt16(image, library + 2);
            ulong need = library + UInt32(image, library + 8);
            for (int i = 0; i < versions; i++)
            {
                if (IsName(image, names + UInt32(image, need + 8), version))
                {
                    Span<byte> flags = Field(image, need + 4, sizeof(ushort));
                    BinaryPrimitives.WriteUInt16LittleEndian(flags, (ushort)(UInt16(image, need + 4) | WeakFlag));
                    found++;
                }
                need += UInt32(image, need + 12);
            }
            uint next = UInt32(image, library + 12);
            if (next == 0)
            {
                return found;
            }
            library += next;
        }
    }

    private static bool IsName(Span<byte> image, ulong offset, string name)
    {
        Span<byte> expected = stackalloc byte[Encoding.ASCII.GetMaxByteCount(name.Length) + 1];
        int length = Encoding.ASCII.GetBytes(name, expected);
        expected[length] = 0;
        return offset < (ulong)image.Length && image[(int)offset..].StartsWith(expected[..(length + 1)]);
    }

    private static ushort UInt16(Span<byte> image, ulong offset) =>
        BinaryPrimitives.ReadUInt16LittleEndian(Field(image, offset, sizeof(ushort)));

    private static uint UInt32(Span<byte> image, ulong offset) =>
        BinaryPrimitives.ReadUInt32LittleEndian(Field(image, offset, sizeof(uint)));

    private static ulong UInt64(Span<byte> image, ulong offset) =>
        BinaryPrimitives.ReadUInt64LittleEndian(Field(image, offset, sizeof(ulong)));

    private static Span<byte> Field(Span<byte> image, ulong offset, int bytes) =>
        offset <= (ulong)image.Length && (ulong)bytes <= (ulong)image.Length - offset
            ? image.Slice((int)offset, bytes)
            : throw new InvalidDataException(
                $"expected {bytes} bytes at offset {offset}, found a file of {image.Length} bytes"
            );
}
