using System.Globalization;

namespace Bamba.Onnx.Sessions;

/// <summary>
/// The processor cores that this process may use. ONNX Runtime's own default counts those of the machine, and its threads wait
/// busily: in a container, or on some cores only, they would take the time of one another.
/// </summary>
internal static class ProcessorCores
{
    private const string Status = "/proc/self/status";
    private const string Allowed = "Cpus_allowed_list:";

    /// <summary>
    /// Cores, hardware threads counted once, of those that the process is allowed and within the share of its container; null where
    /// the system does not tell which hardware threads are of one core.
    /// </summary>
    public static int? Available { get; } =
        AllowedList() is { } list && Count(list, SiblingsOf) is { } cores
            ? Math.Min(cores, Environment.ProcessorCount)
            : null;

    /// <summary>Cores of a list of hardware threads.</summary>
    /// <param name="list">As Linux writes it, such as <c>0-3,8</c>.</param>
    /// <param name="siblings">The hardware threads of the core that one is of, the same text for each; null where it is not known.</param>
    public static int? Count(string list, Func<int, string?> siblings)
    {
        var cores = new HashSet<string>();
        foreach (
            string range in list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        )
        {
            string[] ends = range.Split('-');
            int first = int.Parse(ends[0], CultureInfo.InvariantCulture);
            int last = int.Parse(ends[^1], CultureInfo.InvariantCulture);
            for (int thread = first; thread <= last; thread++)
            {
                if (siblings(thread) is not { } core)
                {
                    return null;
                }
                cores.Add(core);
            }
        }
        return cores.Count == 0 ? null : cores.Count;
    }

    private static string? AllowedList() =>
        File.Exists(Status)
            ? File.ReadLines(Status)
                .FirstOrDefault(line => line.StartsWith(Allowed, StringComparison.Ordinal))
                ?[Allowed.Length..]
            : null;

    private static string? SiblingsOf(int thread)
    {
        string file = string.Create(
            CultureInfo.InvariantCulture,
            $"/sys/devices/system/cpu/cpu{thread}/topology/thread_siblings_list"
        );
        return File.Exists(file) ? File.ReadAllText(file).Trim() : null;
    }
}
