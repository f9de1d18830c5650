using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.Testing;

namespace Bamba.Onnx.Benchmarks;

/// <summary>
/// Weights quantized in a second of processor time, which does not depend on what else runs, for every format; and how much
/// squared error the search leaves of what the nearest codes lose, for normal weights and for those of the small real model.
/// </summary>
internal static class QuantizeTime
{
    private const int Columns = 4096;
    private const int Rows = 64;
    private const int Rounds = 11;

    public static void Measure()
    {
        float[] normal = Normal(Rows * Columns);
        List<(float[] Values, int Columns)> real = RealMatrices();
        var results = new JsonArray();
        foreach (int bits in (int[])[4, 8])
        {
            foreach (int groupSize in (int[])[32, 64, 128])
            {
                foreach (ZeroPoints zeroPoints in Enum.GetValues<ZeroPoints>())
                {
                    WeightQuantization format = new()
                    {
                        Bits = bits,
                        GroupSize = groupSize,
                        ZeroPoints = zeroPoints,
                    };
                    JsonObject result = MeasureFormat(format, normal, real);
                    Console.WriteLine(result.ToJsonString());
                    results.Add((JsonNode)result);
                }
            }
        }
        Measured.Write(
            "quantize.json",
            new JsonObject
            {
                ["what"] =
                    "median million weights a second of processor time, float32 to codes with float16 scales; squared error of the "
                    + "search over that of the nearest codes, for normal weights and for the matrices of bamba-tiny-shakespeare",
                ["machine"] = Measured.Machine,
                ["weights"] = Rows * Columns,
                ["rounds"] = Rounds,
                ["formats"] = results,
            }
        );
    }

    private static JsonObject MeasureFormat(
        WeightQuantization format,
        float[] normal,
        List<(float[] Values, int Columns)> real
    )
    {
        WeightQuantization search = format with { Method = QuantizationMethod.Search };
        return new JsonObject
        {
            ["bits"] = format.Bits,
            ["group_size"] = format.GroupSize,
            ["zero_points"] = format.ZeroPoints.ToString(),
            ["nearest_million_a_second"] = Speed(format, normal),
            ["search_million_a_second"] = Speed(search, normal),
            ["nearest_relative_error_normal"] = Math.Round(Loss(format, normal, Columns).Relative, 5),
            ["nearest_relative_error_real"] = Math.Round(Loss(format, real).Relative, 5),
            ["squared_error_ratio_normal"] = Ratio(Loss(search, normal, Columns), Loss(format, normal, Columns)),
            ["squared_error_ratio_real"] = Ratio(Loss(search, real), Loss(format, real)),
        };
    }

    private static double Ratio(QuantizationError search, QuantizationError nearest) =>
        Math.Round(search.SquaredError / nearest.SquaredError, 4);

    private static double Speed(WeightQuantization format, float[] values)
    {
        var times = new List<double>();
        // The first rounds are for the compiler to settle.
        for (int round = -10 * Rounds; round < Rounds; round++)
        {
            TimeSpan start = Environment.CpuUsage.TotalTime;
            Loss(format, values, Columns);
            if (round >= 0)
            {
                times.Add((Environment.CpuUsage.TotalTime - start).TotalMicroseconds);
            }
        }
        times.Sort();
        return Math.Round(values.Length / times[times.Count / 2], 1);
    }

    private static QuantizationError Loss(WeightQuantization format, List<(float[] Values, int Columns)> matrices) =>
        matrices.Aggregate(
            default(QuantizationError),
            (sum, matrix) => sum + Loss(format, matrix.Values, matrix.Columns)
        );

    private static QuantizationError Loss(WeightQuantization format, float[] values, int columns)
    {
        var quantizer = new RowQuantizer(format, ElementType.Float16, columns);
        var codes = new byte[quantizer.CodeBytes];
        var scales = new byte[quantizer.ScaleBytes];
        var zeroPoints = new byte[quantizer.ZeroPointBytes];
        QuantizationError sum = default;
        for (int start = 0; start < values.Length; start += columns)
        {
            sum += quantizer.Quantize(values.AsSpan(start, columns), codes, scales, zeroPoints);
        }
        return sum;
    }

    private static List<(float[] Values, int Columns)> RealMatrices()
    {
        using CheckpointFolder checkpoint = CheckpointFolder.Open(TestData.TinyShakespeare);
        return
        [
            .. checkpoint
                .Tensors.Values.Where(tensor => tensor.Shape.Length == 2)
                .OrderBy(tensor => tensor.Name, StringComparer.Ordinal)
                .Select(tensor => (Floats(checkpoint, tensor), (int)tensor.Shape[1])),
        ];
    }

    private static float[] Floats(CheckpointFolder checkpoint, CheckpointTensor tensor)
    {
        var bytes = new byte[tensor.Bytes];
        checkpoint.Read(tensor.Name, 0, bytes);
        var values = new float[tensor.Bytes / tensor.Type.SizeInBytes()];
        ElementConversion.TryConvert(
            bytes,
            tensor.Type,
            MemoryMarshal.AsBytes(values.AsSpan()),
            ElementType.Float32,
            out _
        );
        return values;
    }

    private static float[] Normal(int count)
    {
        var random = new Random(1);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(_ =>
                    0.02f
                    * (float)(
                        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())
                    )
                ),
        ];
    }
}
