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
