using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Lowering.Functions;
using Bamba.Onnx.Testing;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Benchmarks;

/// <summary>
/// The scan of one Bamba-9B layer on two threads: the native kernels, the function body and ONNX Runtime's own operators in turn,
/// and a step against the time in which this machine copies a state.
/// </summary>
internal static class ScanTime
{
    private const int Length = 512;
    private const int Layers = 29;
    private const int Runs = 61;

    public static void Measure()
    {
        var library = Path.Combine(AppContext.BaseDirectory, CustomOps.FileName);
        BambaConfig config = BambaConfig.Load(Path.Combine(TestData.Root, "models", "bamba-9b-v2", ModelFiles.Config));
        var shape = Mamba2ChunkScanShape.Of(config, config.MambaNumHeads * config.MambaHeadDim, ElementType.Float32);
        using ScanGraph kernels = ScanGraph.OfOperator(shape, Length, library, states: 1);
        using ScanGraph function = ScanGraph.OfOperator(shape, Length, library: null, states: 1);
        using ScanGraph onnxRuntime = ScanGraph.OfOnnxRuntime(shape, Length);
        double[] prefill = Turns.Medians(
            Runs,
            warmUps: 2,
            pause: 50,
            _ => kernels.Run(),
            _ => function.Run(),
            _ => onnxRuntime.Run()
        );

        using ScanGraph step = ScanGraph.OfOperator(shape, 1, library, states: Layers);
        var states = new StateCopies(shape.NumHeads * shape.HeadDim * shape.StateSize, Layers);
        double[] one = Turns.Medians(Layers * 20, warmUps: 2, pause: 0, _ => step.Run(), _ => states.CopyNext());

        var record = new JsonObject
        {
            ["what"] = "one Bamba-9B layer's scan, float32, batch 1, 2 threads; median milliseconds, taken in turn",
            ["machine"] = Measured.Machine,
            ["onnx_runtime"] = typeof(InferenceSession).Assembly.GetName().Version!.ToString(3),
            ["prefill"] = new JsonObject
            {
                ["tokens"] = Length,
                ["runs"] = Runs,
                ["kernels"] = Math.Round(prefill[0], 2),
                ["function_body"] = Math.Round(prefill[1], 2),
                ["causal_conv_with_state_and_linear_attention"] = Math.Round(prefill[2], 2),
                ["times_function_body"] = Math.Round(prefill[1] / prefill[0], 2),
                ["times_linear_attention"] = Math.Round(prefill[2] / prefill[0], 2),
            },
            ["step"] = new JsonObject
            {
                ["layers_in_rotation"] = Layers,
                ["runs"] = Layers * 20,
                ["kernels"] = Math.Round(one[0], 4),
                ["copy_of_a_state"] = Math.Round(one[1], 4),
                ["times_copy"] = Math.Round(one[0] / one[1], 3),
            },
        };
        Console.WriteLine(record.ToJsonString(new() { WriteIndented = true }));
        Measured.Write("scan-cpu.json", record);
    }

    /// <summary>Copies of states by two threads: a state read and a state written, as a step has to.</summary>
    private sealed class StateCopies(int elements, int count)
    {
        private readonly float[][] states = [.. Enumerable.Range(0, count + 1).Select(_ => new float[elements])];
        private int next;

        public void CopyNext()
        {
            float[] from = states[next];
            float[] to = states[next + 1];
            int half = elements / 2;
            Parallel.Invoke(() => from.AsSpan(0, half).CopyTo(to), () => from.AsSpan(half).CopyTo(to.AsSpan(half)));
            next = (next + 1) % count;
        }
    }
}
