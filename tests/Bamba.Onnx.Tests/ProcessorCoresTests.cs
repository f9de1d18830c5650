using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Tests;

public sealed class ProcessorCoresTests
{
    [Theory]
    [InlineData("0-7", 4)]
    [InlineData("0-3", 4)]
    [InlineData("0,4", 1)]
    [InlineData("\t1-2,5", 2)]
    [InlineData("3", 1)]
    public void Hardware_threads_of_a_core_count_once_and_only_those_that_are_allowed(string allowed, int cores) =>
        // Threads 0 and 4 are of one core, 1 and 5 of the next, as Linux counts them.
        Assert.Equal(cores, ProcessorCores.Count(allowed, thread => $"{thread % 4},{(thread % 4) + 4}"));

    [Fact]
    public void Where_the_system_does_not_tell_nothing_is_guessed()
    {
        Assert.Null(ProcessorCores.Count("0-3", thread => thread < 3 ? $"{thread}" : null));
        Assert.Null(ProcessorCores.Count("", _ => "0"));
    }

    [Fact]
    public void This_process_has_at_least_one_and_no_more_than_its_hardware_threads()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux tells");
        Assert.InRange(ProcessorCores.Available ?? 1, 1, Environment.ProcessorCount);
    }
}
