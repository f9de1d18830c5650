using Bamba.Onnx.Devices;

namespace Bamba.Onnx.Tests.Devices;

public sealed class MemoryBlockTests
{
    [Fact]
    public void Pieces_are_read_one_behind_another_and_written_where_they_were()
    {
        using MemoryBlock block = MemorySpace.Host.Allocate(20);
        block.Write(new Region(0, 20), [.. Enumerable.Range(0, 20).Select(i => (byte)i)]);
        var pieces = new Region(1, 3, 2, 7);
        byte[] read = new byte[6];
        block.Read(pieces, read);
        Assert.Equal([1, 2, 8, 9, 15, 16], read);
        block.Write(pieces, [101, 102, 108, 109, 115, 116]);
        byte[] all = new byte[20];
        block.Read(new Region(0, 20), all);
        Assert.Equal([0, 101, 102, 3, 4, 5, 6, 7, 108, 109, 10, 11, 12, 13, 14, 115, 116, 17, 18, 19], all);
    }

    [Fact]
    public void Pieces_go_from_one_spacing_to_another()
    {
        using MemoryBlock wide = MemorySpace.Host.Allocate(12);
        using MemoryBlock narrow = MemorySpace.Host.Allocate(9);
        wide.Write(new Region(0, 12), [.. Enumerable.Range(0, 12).Select(i => (byte)i)]);
        narrow.Clear(0, 9);
        wide.CopyTo(narrow, new Region(0, 3, 2, 4), new Region(1, 3, 2, 3));
        byte[] all = new byte[9];
        narrow.Read(new Region(0, 9), all);
        Assert.Equal([0, 0, 1, 0, 4, 5, 0, 8, 9], all);
    }

    [Fact]
    public void A_part_that_lies_outside_is_refused()
    {
        using MemoryBlock block = MemorySpace.Host.Allocate(8);
        Assert.Throws<ArgumentOutOfRangeException>(() => block.Read(new Region(7, 2), new byte[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => block.Write(new Region(0, 3, 2, 4), new byte[6]));
        Assert.Throws<ArgumentOutOfRangeException>(() => block.View(4, Contract.ElementType.Float32, 2));
        using MemoryBlock other = MemorySpace.Host.Allocate(8);
        Assert.Throws<ArgumentException>(() => block.CopyTo(other, new Region(0, 4), new Region(0, 2, 2, 2)));
    }
}
