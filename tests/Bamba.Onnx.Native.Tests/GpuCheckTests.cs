using System.ComponentModel;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Native.Tests;

/// <summary>Whether the CUDA kernels are those that <c>custom-ops/check_gpu.py</c> last checked: no test can run them without a GPU.</summary>
public sealed partial class GpuCheckTests
{
    private static readonly string CustomOpsFolder = Path.Combine(TestData.Root, "custom-ops");

    /// <summary>The sources that the script names.</summary>
    private static readonly (string Folder, string Pattern)[] Sources =
    [
        ("kernels", "*.h"),
        ("kernels/cuda", "*"),
        ("ops", "cuda_*"),
    ];

    [GeneratedRegex(@"//[^\n]*|[ \t\r\n]+")]
    private static partial Regex CommentOrBlanks { get; }

    [Fact]
    public void Cuda_kernels_passed_on_a_GPU_as_they_are()
    {
        string sources = SourcesSha256();
        string[] records = Directory.GetFiles(Path.Combine(CustomOpsFolder, "measured"), "*.json");
        JsonElement[] found = [.. records.Select(record => JsonDocument.Parse(File.ReadAllText(record)).RootElement)];
        JsonElement[] same = [.. found.Where(record => record.GetProperty("sources_sha256").GetString() == sources)];
        Assert.SkipWhen(
            same.Length == 0,
            "WARNING: the CUDA kernels changed since they were last checked on a GPU: run custom-ops/check_gpu.py where one is"
        );
        Assert.SkipUnless(
            same.Any(record => record.GetProperty("passed").GetBoolean()),
            "WARNING: the last check of the CUDA kernels on a GPU was not finished or failed: run custom-ops/check_gpu.py where one is"
        );
    }

    [Fact]
    public async Task The_script_computes_the_same_hash()
    {
        var start = new ProcessStartInfo("python3", [Path.Combine(CustomOpsFolder, "check_gpu.py"), "sources"])
        {
            RedirectStandardOutput = true,
        };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Assert.Skip("no python3 here");
            return;
        }
        using (process)
        {
            string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
            Assert.Equal(output.Trim(), SourcesSha256());
        }
    }

    /// <summary>
    /// SHA-256 over each source's path, a zero byte, its code and a zero byte, in the order of paths. The code is the content
    /// without line comments, blanks and ends of lines: what those say needs no other check.
    /// </summary>
    private static string SourcesSha256()
    {
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        IEnumerable<string> names = Sources
            .SelectMany(source => Directory.GetFiles(Path.Combine(CustomOpsFolder, source.Folder), source.Pattern))
            .Select(path => Path.GetRelativePath(CustomOpsFolder, path).Replace('\\', '/'))
            .Order(StringComparer.Ordinal);
        foreach (string name in names)
        {
            digest.AppendData(Encoding.UTF8.GetBytes(name + '\0'));
            string content = File.ReadAllText(Path.Combine(CustomOpsFolder, name), Encoding.Latin1);
            digest.AppendData(Encoding.Latin1.GetBytes(CommentOrBlanks.Replace(content, "")));
            digest.AppendData([0]);
        }
        return Convert.ToHexStringLower(digest.GetHashAndReset());
    }
}
