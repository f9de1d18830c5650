using System.Runtime.InteropServices;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cli.Benchmarking;

/// <summary>The machine that a speed belongs to.</summary>
/// <param name="Cpu">The processor's name.</param>
/// <param name="Cores">Cores that this process may use, hardware threads counted once.</param>
/// <param name="OperatingSystem">The system with its version and architecture.</param>
internal sealed record Machine(string Cpu, int Cores, string OperatingSystem)
{
    private const string ProcessorList = "/proc/cpuinfo";

    public static Machine OfProcess()
    {
        string[] list = File.Exists(ProcessorList) ? File.ReadAllLines(ProcessorList) : [];
        return new Machine(
            CpuName(list) ?? Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? "unknown processor",
            ProcessorCores.Available ?? Environment.ProcessorCount,
            $"{RuntimeInformation.OSDescription} {RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}"
        );
    }

    /// <summary>The processor's name in Linux's list; null where it has none.</summary>
    public static string? CpuName(IEnumerable<string> list) =>
        Values(list, "model name").FirstOrDefault() ?? Values(list, "Model").FirstOrDefault();

    private static IEnumerable<string> Values(IEnumerable<string> list, string key) =>
        list.Select(line => line.Split(':', 2))
            .Where(parts => parts.Length == 2 && parts[0].Trim() == key)
            .Select(parts => parts[1].Trim());
}
