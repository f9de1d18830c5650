using System.Buffers.Binary;
using System.Text;
using Bamba.Onnx.Exporter.Torch;

namespace Bamba.Onnx.Exporter.Tests.Torch;

public sealed class ElfVersionNeedsTests
{
    private const int NeedsOffset = 64;
    private const int NamesOffset = 192;
    private const int SectionsOffset = 256;

    [Fact]
    public void Only_the_flags_of_the_named_version_change()
    {
        byte[] image = Library(("liba.so", ["V_1", "V_2"]), ("libb.so", ["V_2", "V_20"]));
        byte[] patched = [.. image];

        Assert.Equal(2, ElfVersionNeeds.MakeWeak(patched, "V_2"));

        int[] changed = [.. Enumerable.Range(0, image.Length).Where(i => image[i] != patched[i])];
        // liba.so: 16 bytes of its own, then V_1 and V_2 of 16 each; flags are at 4 in each.
        Assert.Equal([NeedsOffset + 16 + 16 + 4, NeedsOffset + 48 + 16 + 4], changed);
        Assert.All(changed, i => Assert.Equal(2, patched[i]));
    }

    [Fact]
    public void A_library_without_the_version_stays_as_it_is()
    {
        byte[] image = Library(("liba.so", ["V_1"]));
        byte[] patched = [.. image];

        Assert.Equal(0, ElfVersionNeeds.MakeWeak(patched, "V_2"));
        Assert.Equal(image, patched);
    }

    [Fact]
    public void Anything_but_a_64_bit_little_endian_ELF_file_is_refused()
    {
        byte[] image = Library(("liba.so", ["V_1"]));
        image[4] = 1;

        Assert.Throws<InvalidDataException>(() => ElfVersionNeeds.MakeWeak(image, "V_1"));
        Assert.Throws<InvalidDataException>(() => ElfVersionNeeds.MakeWeak("#!/bin/sh"u8.ToArray(), "V_1"));
        Assert.Throws<InvalidDataException>(() => ElfVersionNeeds.MakeWeak([], "V_1"));
    }

    [Fact]
    public void A_library_cut_anywhere_is_refused()
    {
        byte[] image = Library(("liba.so", ["V_1", "V_2"]));

        for (int length = 0; length < image.Length; length++)
        {
            byte[] cut = image[..length];
            Assert.Throws<InvalidDataException>(() => ElfVersionNeeds.MakeWeak(cut, "V_2"));
        }
    }

    [Fact]
    public void Offsets_out_of_the_file_are_refused()
    {
        byte[] image = Library(("liba.so", ["V_1"]));
        BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(SectionsOffset + 24), ulong.MaxValue - 3);

        var error = Assert.Throws<InvalidDataException>(() => ElfVersionNeeds.MakeWeak(image, "V_1"));
        Assert.Contains($"a file of {image.Length} bytes", error.Message, StringComparison.Ordinal);
    }

    /// <summary>A header, the needs of two libraries at most, their names, and the headers of these two sections.</summary>
    private static byte[] Library(params (string File, string[] Versions)[] needs)
    {
        byte[] image = new byte[SectionsOffset + (2 * 64)];
        byte[] identity = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1];
        identity.CopyTo(image, 0);
        Write64(0x28, SectionsOffset);
        Write16(0x3a, 64);
        Write16(0x3c, 2);
        Write32(SectionsOffset + 4, 0x6ffffffe);
        Write64(SectionsOffset + 24, NeedsOffset);
        Write32(SectionsOffset + 40, 1);
        Write32(SectionsOffset + 64 + 4, 3);
        Write64(SectionsOffset + 64 + 24, NamesOffset);

        int names = NamesOffset + 1;
        int at = NeedsOffset;
        for (int library = 0; library < needs.Length; library++)
        {
            string[] versions = needs[library].Versions;
            Write16(at + 2, (ushort)versions.Length);
            Write32(at + 4, Name(needs[library].File));
            Write32(at + 8, 16);
            Write32(at + 12, library + 1 < needs.Length ? 16u * (uint)(versions.Length + 1) : 0);
            at += 16;
            for (int i = 0; i < versions.Length; i++, at += 16)
            {
                Write32(at + 8, Name(versions[i]));
                Write32(at + 12, i + 1 < versions.Length ? 16u : 0);
            }
        }
        return image;

        uint Name(string text)
        {
            uint offset = (uint)(names - NamesOffset);
            names += Encoding.ASCII.GetBytes(text, image.AsSpan(names)) + 1;
            return offset;
        }
        void Write16(int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(offset), value);
        void Write32(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(offset), value);
        void Write64(int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(offset), value);
    }
}
