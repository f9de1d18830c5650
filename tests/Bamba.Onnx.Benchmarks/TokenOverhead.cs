using System.Diagnostics;
using System.Text.Json.Nodes;
using Bamba.Onnx.Generation;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Benchmarks;

/// <summary>What a greedily generated token of the small real model costs outside ONNX Runtime: sampling, text, the stream.</summary>
internal static class TokenOverhead
{
    private const int Tokens = 4000;

    public static async Task MeasureAsync()
    {
        using BambaRuntime runtime = BambaRuntime.Load(ExportedModels.Of(TestData.TinyShakespeare));
        using BambaSession session = runtime.CreateSession(contextLength: Tokens + 3);
        var options = new GenerationOptions
        {
            MaxNewTokens = Tokens,
            Sampling = SamplingOptions.Greedy,
            EosTokenIds = [],
        };
        var outside = new List<double>(Tokens);
        var inside = new List<double>(Tokens);
        (long Time, long Run) last = default;
        ReadOnlyMemory<int>[] prompt = [new[] { 5, 6, 7 }];
        await foreach (GeneratedToken _ in session.GenerateTokensAsync(prompt, options))
        {
            if (last.Time > 0)
            {
                TimeSpan run = Stopwatch.GetElapsedTime(last.Run, session.RunTicks);
                inside.Add(run.TotalMicroseconds);
                outside.Add((Stopwatch.GetElapsedTime(last.Time) - run).TotalMicroseconds);
            }
            last = (Stopwatch.GetTimestamp(), session.RunTicks);
        }
        var record = new JsonObject
        {
            ["what"] =
                "time of one greedily generated token of bamba-tiny-shakespeare, microseconds, one row, with its text",
            ["machine"] = Measured.Machine,
            ["onnx_runtime"] = typeof(Microsoft.ML.OnnxRuntime.InferenceSession)
                .Assembly.GetName()
                .Version!.ToString(3),
            ["tokens"] = outside.Count,
            ["limit_outside"] = 20,
            ["median_outside"] = Math.Round(Percentile(outside, 0.5), 2),
            ["p90_outside"] = Math.Round(Percentile(outside, 0.9), 2),
            ["median_inside"] = Math.Round(Percentile(inside, 0.5), 2),
        };
        Console.WriteLine(record.ToJsonString());
        Measured.Write("token-overhead.json", record);
    }

    private static double Percentile(List<double> values, double share)
    {
        values.Sort();
        return values[(int)(share * (values.Count - 1))];
    }
}
