using Bamba.Onnx.Exporter.Torch;

namespace Bamba.Onnx.Exporter.Tests.Torch;

public sealed class PatchedLibraryCacheTests : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Fact]
    public void A_file_is_written_once_and_found_again()
    {
        string folder = Path.Combine(root, "a", "b");
        string path = PatchedLibraryCache.Store([folder], "lib", "content"u8);
        DateTime written = File.GetLastWriteTimeUtc(path);

        Assert.Equal(path, PatchedLibraryCache.Store([folder], "lib", "content"u8));
        Assert.Equal(written, File.GetLastWriteTimeUtc(path));
        Assert.Equal("content"u8.ToArray(), File.ReadAllBytes(path));
        Assert.Equal([path], Directory.GetFiles(folder));
    }

    [Fact]
    public void Another_content_has_another_name()
    {
        Assert.NotEqual(
            PatchedLibraryCache.Store([root], "lib", "content"u8),
            PatchedLibraryCache.Store([root], "lib", "other"u8)
        );
    }

    [Fact]
    public void A_damaged_file_is_replaced()
    {
        string path = PatchedLibraryCache.Store([root], "lib", "content"u8);
        File.WriteAllText(path, "contentX");

        Assert.Equal(path, PatchedLibraryCache.Store([root], "lib", "content"u8));
        Assert.Equal("content"u8.ToArray(), File.ReadAllBytes(path));
    }

    [Fact]
    public void The_next_folder_is_used_where_one_cannot_be_written()
    {
        string blocked = Path.Combine(root, "file");
        File.WriteAllText(blocked, "a file where a folder should be");
        string open = Path.Combine(root, "open");

        Assert.StartsWith(
            open,
            PatchedLibraryCache.Store([blocked, open], "lib", "content"u8),
            StringComparison.Ordinal
        );
        var error = Assert.Throws<IOException>(() => PatchedLibraryCache.Store([blocked], "lib", "content"u8));
        Assert.Contains(blocked, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Many_writers_at_once_leave_one_whole_file()
    {
        byte[] content = new byte[1 << 16];
        Random.Shared.NextBytes(content);

        Parallel.For(0, 32, _ => PatchedLibraryCache.Store([root], "lib", content));

        Assert.Equal(content, File.ReadAllBytes(Assert.Single(Directory.GetFiles(root))));
    }
}
