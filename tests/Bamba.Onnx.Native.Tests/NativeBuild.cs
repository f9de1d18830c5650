using System.Diagnostics;
using System.Globalization;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Native.Tests;

/// <summary>What the build of this project made of the native sources: the library, and the folder that tests are built in.</summary>
internal static class NativeBuild
{
    private const string Preset = "release";
    private const string Configuration = "Release";

    private static readonly string Beside = Path.Combine(AppContext.BaseDirectory, CustomOps.FileName);

    // Tests run side by side, and a folder is built by one at a time.
    private static readonly Lazy<Task> Programs = new(BuildProgramsAsync);

    /// <summary>Whether the build made a library.</summary>
    public static bool HasLibrary => File.Exists(Beside);

    /// <summary>The library beside this assembly; a test that asks for it is skipped where none was built.</summary>
    public static string Library
    {
        get
        {
            Assert.SkipUnless(
                HasLibrary,
                "no native library was built: CMake or a C++ compiler was missing, or BuildNative was false"
            );
            return Beside;
        }
    }

    /// <summary>Builds the native test programs and runs them; where there is no library they are skipped like it.</summary>
    public static async Task TestAsync()
    {
        _ = Library;
        await Programs.Value;
        await RunAsync("ctest", "--preset", Preset, "--build-config", Configuration);
    }

    /// <summary>Builds the native test programs, and gives the path of a library among them.</summary>
    public static async Task<string> BuildAsync(string library)
    {
        _ = Library;
        await Programs.Value;
        return Path.Combine(
            TestData.Root,
            "artifacts",
            "native",
            Preset,
            "tests",
            CustomOps.FileName.Replace("bamba_ops", library, StringComparison.Ordinal)
        );
    }

    private static Task BuildProgramsAsync()
    {
        string processors = Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture);
        return RunAsync("cmake", "--build", "--preset", Preset, "--config", Configuration, "--parallel", processors);
    }

    private static async Task RunAsync(string tool, params string[] arguments)
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
        Assert.True(
            process.ExitCode == 0,
            $"{tool} {string.Join(' ', arguments)} ended with {process.ExitCode}:\n{await output}{await errors}"
        );
    }
}
