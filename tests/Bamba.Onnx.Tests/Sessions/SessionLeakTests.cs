using System.Diagnostics;
using System.Globalization;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Tests.Sessions;

public sealed class SessionLeakTests
{
    private const int Sessions = 1000;

    [Fact]
    public async Task A_thousand_sessions_used_cancelled_and_disposed_at_random_leave_nothing_behind()
    {
        Assert.SkipUnless(PrivateMemory.IsSupported, "private memory is read from /proc, which is Linux's");
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        // glibc keeps memory for each thread that ever allocated and fragments all of it; with one arena, what a process has
        // is what it holds, and a leak shows.
        start.Environment["MALLOC_ARENA_MAX"] = "1";
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "session-stress.dll"));
        start.ArgumentList.Add(ExportedModels.Of(TestData.TinyShakespeare));
        start.ArgumentList.Add(Sessions.ToString(CultureInfo.InvariantCulture));
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, await errors);
        long[] bytes =
        [
            .. output
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => long.Parse(line, CultureInfo.InvariantCulture)),
        ];
        // Between rounds the heap's fragments come and go, some 8 MB of them where other tests run beside. What each session
        // of a round kept is limited to a fiftieth of its state.
        const long StateBytes = 626_688;
        const long Limit = Sessions * StateBytes / 50;
        Assert.True(bytes[^1] - bytes[^2] < Limit, $"private memory grew by more than {Limit:N0} bytes: {output}");
    }
}
