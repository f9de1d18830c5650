using System.ComponentModel;
using System.Diagnostics;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.CustomOps.Tests;

/// <summary>The kernels' own tests, which are C++: built and run with what CMake finds on this machine.</summary>
public sealed class NativeTests
{
    private const string Preset = "release";

    [Fact]
    public async Task Kernels_of_the_processor_agree_with_their_scalar_twin()
    {
        Assert.SkipUnless(await IsThereAsync("cmake") && await IsThereAsync("c++"), "no cmake and C++ compiler here");
        await RunAsync("cmake", "--preset", Preset);
        await RunAsync("cmake", "--build", "--preset", Preset, "--parallel");
        await RunAsync("ctest", "--preset", Preset);
    }

    private static async Task<bool> IsThereAsync(string tool)
    {
        try
        {
            return (await StartAsync(tool, "--version")).ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }

    private static async Task RunAsync(string tool, params string[] arguments)
    {
        (int exitCode, string output) = await StartAsync(tool, arguments);
        Assert.True(exitCode == 0, $"{tool} {string.Join(' ', arguments)} ended with {exitCode}:\n{output}");
    }

    private static async Task<(int ExitCode, string Output)> StartAsync(string tool, params string[] arguments)
    {
        var start = new ProcessStartInfo(tool, arguments)
        {
            WorkingDirectory = Path.Combine(TestData.Root, "custom-ops"),
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        CancellationToken cancellationToken = TestContext.Current.CancellationToken;
        Task<string> output = process.StandardOutput.ReadToEndAsync(cancellationToken);
        Task<string> errors = process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        return (process.ExitCode, await output + await errors);
    }
}
