using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Benchmarks;

/// <summary>
/// A decoded token's time by the tokens that went before: a session for each depth, a step of each in turn, so that all see the
/// same machine; and the attention layers' part of it, from ONNX Runtime's profile of as many steps again.
/// </summary>
internal static class ContextTime
{
    public const string Record = "decode-context.json";
    private const int Steps = 64;
    private const int Threads = 2;
    private const int TokenSeed = 42;
    private static readonly int[] Depths = [16, 512, 2048, 8192];

    /// <param name="folder">An exported model.</param>
    public static void Measure(string folder)
    {
        using var scratch = new TemporaryFolder();
        string trace = scratch["trace.json"];
        (double[] milliseconds, long keyValueBytesPerToken) = Run(folder, trace: null);
        Run(folder, trace);
        double[] attention = Attention(trace);

        var byDepth = new JsonArray();
        for (int i = 0; i < Depths.Length; i++)
        {
            // A step at depth d, half of the steps taken, reads the keys and values of so many tokens.
            long bytes = keyValueBytesPerToken * (Depths[i] + (Steps / 2));
            byDepth.Add(
                (JsonNode)
                    new JsonObject
                    {
                        ["depth"] = Depths[i],
                        ["milliseconds"] = Math.Round(milliseconds[i], 3),
                        ["attention_milliseconds"] = Math.Round(attention[i], 3),
                        ["rest_milliseconds"] = Math.Round(milliseconds[i] - attention[i], 3),
                        ["key_value_bytes"] = bytes,
                        ["attention_reads_gb_a_second"] = Math.Round(bytes / attention[i] / 1e6, 1),
                    }
            );
        }
        ModelManifest manifest = ModelManifest.Load(folder);
        var record = new JsonObject
        {
            ["what"] =
                $"a decoded token by the tokens before it, batch 1, {Threads} threads, random weights: medians of {Steps} steps of each depth, taken in turn; attention by the profile of as many again",
            ["machine"] = Measured.Machine,
            ["onnx_runtime"] = typeof(Microsoft.ML.OnnxRuntime.InferenceSession)
                .Assembly.GetName()
                .Version!.ToString(3),
            ["parameters"] = manifest.Parameters,
            ["weight_bytes"] = manifest.WeightBytes,
            ["limit_rest_deepest_over_shallowest"] = 1.15,
            ["rest_deepest_over_shallowest"] = Math.Round(
                (milliseconds[^1] - attention[^1]) / (milliseconds[0] - attention[0]),
                3
            ),
            ["by_depth"] = byDepth,
        };
        Console.WriteLine(record.ToJsonString());
        Measured.Write(Record, record);
        ContextChart.Write();
    }

    /// <summary>Median milliseconds of a step at each depth.</summary>
    private static (double[] Milliseconds, long KeyValueBytesPerToken) Run(string folder, string? trace)
    {
        var options = new BambaRuntimeOptions
        {
            Threads = Threads,
            CustomOps = CustomOps.FromFile(Path.Combine(AppContext.BaseDirectory, CustomOps.FileName)),
            TraceFile = trace,
        };
        using BambaRuntime runtime = BambaRuntime.Load(folder, options);
        var random = new Random(TokenSeed);
        var sessions = new List<BambaSession>();
        try
        {
            foreach (int depth in Depths)
            {
                BambaSession session = runtime.CreateSession(contextLength: depth + Steps);
                sessions.Add(session);
                session.Prefill(Tokens(depth));
            }
            double[][] times = [.. Depths.Select(_ => new double[Steps])];
            for (int step = 0; step < Steps; step++)
            {
                for (int i = 0; i < sessions.Count; i++)
                {
                    int[] token = Tokens(1);
                    long start = Stopwatch.GetTimestamp();
                    sessions[i].Decode(token);
                    times[i][step] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
                }
            }
            long perToken = (sessions[1].StateBytes - sessions[0].StateBytes) / (Depths[1] - Depths[0]);
            return ([.. times.Select(Median)], perToken);
        }
        finally
        {
            sessions.ForEach(session => session.Dispose());
        }

        int[] Tokens(int count) => [.. Enumerable.Range(0, count).Select(_ => random.Next(runtime.Config.VocabSize))];
    }

    /// <summary>Median milliseconds of a step's attention at each depth, from a profile that ends with the steps.</summary>
    private static double[] Attention(string trace)
    {
        using FileStream stream = File.OpenRead(trace);
        using JsonDocument document = JsonDocument.Parse(stream);
        var runs = new List<(long Start, long End)>();
        var nodes = new List<(long Start, long Duration)>();
        foreach (JsonElement item in document.RootElement.EnumerateArray())
        {
            string name = item.GetProperty("name").GetString()!;
            if (name == "model_run")
            {
                runs.Add((Number(item, "ts"), Number(item, "ts") + Number(item, "dur")));
            }
            else if (
                name.EndsWith("_kernel_time", StringComparison.Ordinal)
                && item.GetProperty("args").GetProperty("op_name").GetString() == "GroupQueryAttention"
            )
            {
                nodes.Add((Number(item, "ts"), Number(item, "dur")));
            }
        }
        double[] last =
        [
            .. runs.OrderBy(run => run.Start)
                .TakeLast(Steps * Depths.Length)
                .Select(run =>
                    nodes.Where(node => node.Start >= run.Start && node.Start < run.End).Sum(node => node.Duration)
                    / 1000.0
                ),
        ];
        return [.. Depths.Select((_, i) => Median([.. last.Where((_, place) => place % Depths.Length == i)]))];
    }

    private static long Number(JsonElement item, string name) => item.GetProperty(name).GetInt64();

    private static double Median(double[] values) => values.Order().ElementAt(values.Length / 2);
}
