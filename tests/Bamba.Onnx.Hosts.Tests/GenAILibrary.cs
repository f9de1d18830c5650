using System.Text.RegularExpressions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Hosts.Tests;

/// <summary>
/// ONNX Runtime GenAI's native library, where this machine has one: the archive <c>../shared/genai/genai-VERSION-linux-x64.tar.xz</c>
/// beside the repository, unpacked with ONNX Runtime beside it.
/// </summary>
internal sealed partial record GenAILibrary(string Path, string Version)
{
    private const string FileName = "libonnxruntime-genai.so";
    private const string OnnxRuntime = "libonnxruntime.so";
    private static readonly Lazy<Task<(GenAILibrary? Found, string Problem)>> Search = new(FindAsync);

    /// <summary>The library; the test is skipped where there is none.</summary>
    public static async Task<GenAILibrary> FindOrSkipAsync()
    {
        (GenAILibrary? found, string problem) = await Search.Value;
        Assert.SkipWhen(found is null, problem);
        return found!;
    }

    private static async Task<(GenAILibrary?, string)> FindAsync()
    {
        string folder = System.IO.Path.Combine(TestData.Root, "..", "shared", "genai");
        string? archive = Directory.Exists(folder)
            ? Directory.EnumerateFiles(folder, "genai-*-linux-x64.tar.xz").Order().LastOrDefault()
            : null;
        if (archive is null)
        {
            return (null, $"ONNX Runtime GenAI's library is on no package registry, and not in {folder}");
        }
        if (!OperatingSystem.IsLinux() || !Environment.Is64BitProcess)
        {
            return (null, "ONNX Runtime GenAI's library is one for Linux");
        }
        string version = VersionOf().Match(archive).Groups[1].Value;
        string target = System.IO.Path.Combine(TestData.Root, "artifacts", "genai", version);
        Directory.CreateDirectory(target);
        HostProcess? tar = await HostProcess.TryRunAsync(target, "tar", ["-xJf", archive, FileName]);
        if (tar is not { ExitCode: 0 })
        {
            return (null, $"the archive of ONNX Runtime GenAI cannot be unpacked: {tar?.Error ?? "there is no tar"}");
        }
        string runtime = System.IO.Path.Combine(target, OnnxRuntime);
        File.Delete(runtime);
        File.CreateSymbolicLink(
            runtime,
            System.IO.Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", OnnxRuntime)
        );
        return (new GenAILibrary(System.IO.Path.Combine(target, FileName), version), "");
    }

    [GeneratedRegex(@"genai-([\d.]+)-linux")]
    private static partial Regex VersionOf();
}
