using Bamba.Onnx.Cli.Quality;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Cli.Tests;

public sealed class ScoresFileTests
{
    [Fact]
    public void Scores_come_back_bit_for_bit_and_the_file_goes_away()
    {
        using var folder = new TemporaryFolder();
        using (var scores = new ScoresFile(folder.Path, 3, 2))
        {
            scores.Add([1.5f, float.Epsilon]);
            scores.Add([-0f, float.MaxValue]);
            Assert.Equal(2, scores.Count);
            Assert.Single(Directory.EnumerateFiles(folder.Path));
            scores.Rewind();
            Assert.Equal([1.5f, float.Epsilon], scores.Next());
            Assert.Equal([-0f, float.MaxValue], scores.Next());
        }
        Assert.Empty(Directory.EnumerateFiles(folder.Path));
    }

    [Fact]
    public void Too_little_room_is_told_before_anything_is_written()
    {
        using var folder = new TemporaryFolder();
        Assert.ThrowsAny<IOException>(() => new ScoresFile(folder.Path, int.MaxValue, 128_256));
        Assert.Empty(Directory.EnumerateFiles(folder.Path));
    }
}
