using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Weights;

namespace Bamba.Onnx.Exporter.Tests.Weights;

public sealed class WeightPlanTests
{
    private static readonly WeightSource Source = WeightSource.CopyOf("t");

    [Fact]
    public void Large_entries_start_on_pages_and_small_ones_on_cache_lines()
    {
        var plan = new WeightPlan();

        Assert.Equal(0, plan.Add("line", ElementType.Float32, [1023], Source).Offset);
        Assert.Equal(4096, plan.Add("scalar", ElementType.Float16, [], Source).Offset);
        Assert.Equal(4160, plan.Add("empty", ElementType.Float32, [0, 7], Source).Offset);
        Assert.Equal(8192, plan.Add("page", ElementType.Float32, [1024], Source).Offset);
        Assert.Equal(12288, plan.Add("after", ElementType.BFloat16, [3], Source).Offset);

        Assert.Equal(12294, plan.FileBytes);
        Assert.Equal(["line", "scalar", "empty", "page", "after"], plan.Entries.Select(entry => entry.Name));
        Assert.Equal([4092L, 2, 0, 4096, 6], plan.Entries.Select(entry => entry.Bytes));
    }

    [Fact]
    public void Entries_go_on_in_another_file_before_one_gets_too_large()
    {
        var plan = new WeightPlan(maxShardBytes: 8200);
        (string, long)[] sizes = [("a", 4096), ("b", 4096), ("c", 8), ("d", 8), ("large", 9000), ("e", 8200), ("f", 0)];
        foreach ((string name, long size) in sizes)
        {
            plan.Add(name, ElementType.UInt8, [size], WeightSource.CopyOf(name));
        }
        Assert.Equal(
            [("a", 0, 0), ("b", 0, 4096), ("c", 0, 8192), ("d", 1, 0), ("large", 2, 0), ("e", 3, 0), ("f", 4, 0)],
            plan.Entries.Select(entry => (entry.Name, entry.Shard, entry.Offset))
        );
        Assert.Equal([8200, 8, 9000, 8200, 0], plan.ShardBytes);
        Assert.Equal(8200 + 8 + 9000 + 8200, plan.FileBytes);
    }

    [Fact]
    public void Offsets_of_a_large_model_do_not_wrap()
    {
        var plan = new WeightPlan();
        plan.Add("a", ElementType.Float32, [3_000_000_000], Source);

        Assert.Equal(12_000_002_048, plan.Add("b", ElementType.Float32, [1], Source).Offset + 2048);
        Assert.Throws<OverflowException>(() => plan.Add("c", ElementType.Float32, [long.MaxValue], Source));
    }

    [Fact]
    public void Names_given_twice_negative_sizes_and_sources_of_nothing_are_refused()
    {
        var plan = new WeightPlan();
        plan.Add("a", ElementType.Float32, [1], Source);

        Assert.Throws<ArgumentException>(() => plan.Add("a", ElementType.Float32, [1], Source));
        Assert.Throws<ArgumentException>(() => plan.Add("b", ElementType.Float32, [-1], Source));
        Assert.Throws<ArgumentException>(() => plan.Add("c", ElementType.Float32, default, Source));
        Assert.Throws<ArgumentException>(() => WeightSource.CopyOf());
        Assert.Throws<ArgumentException>(() => WeightSource.TransposeOf(default));
    }
}
