using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Native.Tests;

/// <summary>The native library and its tests, built once with what CMake finds on this machine.</summary>
public sealed class NativeBuild : IAsyncLifetime
{
    private const string Preset = "release";

    private bool isBuilt;

    /// <summary>The library.</summary>
    public string Library
    {
        get
        {
            RequireBuilt();
            return Path.Combine(TestData.Root, "artifacts", "native", Preset, "ops", CustomOps.FileName);
        }
    }

    public async ValueTask InitializeAsync()
    {
        if (!await IsThereAsync("cmake") || !await IsThereAsync("c++"))
        {
            return;
        }
        string headers = typeof(NativeBuild)
            .Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .Single(metadata => metadata.Key == "OnnxRuntimeHeaders")
            .Value!;
        await RunAsync("cmake", "--preset", Preset, $"-DBAMBA_ORT_INCLUDE_DIR={headers}");
        await RunAsync("cmake", "--build", "--preset", Preset, "--parallel");
        isBuilt = true;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Runs the native test programs.</summary>
    public async Task TestAsync()
    {
        RequireBuilt();
        await RunAsync("ctest", "--preset", Preset);
    }

    private void RequireBuilt() => Assert.SkipUnless(isBuilt, "no cmake and C++ compiler here");

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
