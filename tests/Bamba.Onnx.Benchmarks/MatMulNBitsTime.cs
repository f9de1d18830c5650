using System.Numerics;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Benchmarks;

/// <summary>
/// The products of Bamba-9B with weights of 4 and 8 bits on two threads: the native kernels and ONNX Runtime's own operator in turn,
/// and the time in which two threads read the same bytes.
/// </summary>
internal static class MatMulNBitsTime
{
    private const int BlockSize = 128;

    /// <summary>Bytes of weights in rotation: more than a cache holds, since a model's come from memory each time.</summary>
    private const long Rotation = 256L << 20;

    // Rows and columns of W: the projections of a Mamba-2 layer, of its MLP, of attention, and the vocabulary.
    private static readonly (int N, int K)[] Shapes =
    [
        (16768, 4096),
        (4096, 8192),
        (28672, 4096),
        (4096, 14336),
        (6144, 4096),
        (128256, 4096),
    ];

    private static readonly int[] Rows = [1, 2, 8, 64, 512];

    public static void Measure()
    {
        var record = new JsonObject
        {
            ["what"] =
                "Bamba-9B's products with quantized weights, float32 x, float16 scales for the kernels and float32 for ONNX Runtime, "
                + $"groups of {BlockSize}, 2 threads; median milliseconds, taken in turn, weights in rotation",
            ["machine"] = Measured.Machine,
            ["onnx_runtime"] = typeof(InferenceSession).Assembly.GetName().Version!.ToString(3),
        };
        foreach (int bits in (int[])[4, 8])
        {
            var products = new JsonArray();
            record[$"bits_{bits}"] = products;
            foreach ((int n, int k) in Shapes)
            {
                Array.ForEach([.. Measure(bits, n, k)], products.Add);
            }
        }
        Measured.Write("matmul-nbits-cpu.json", record);
    }

    private static List<JsonObject> Measure(int bits, int n, int k)
    {
        long bytes = ProductGraph.Bytes(n, k, bits, BlockSize);
        int copies = (int)Math.Max(1, Rotation / bytes);
        ProductGraph[] kernels =
        [
            .. Enumerable.Range(0, copies).Select(_ => ProductGraph.OfKernels(n, k, bits, BlockSize)),
        ];
        ProductGraph[] onnxRuntime =
        [
            .. Enumerable.Range(0, copies).Select(_ => ProductGraph.OfOnnxRuntime(n, k, bits, BlockSize)),
        ];
        var reads = new Reads(bytes, copies);
        var results = new List<JsonObject>();
        foreach (int rows in Rows)
        {
            int runs = Math.Max(5, Math.Min(40, 2048 / rows * 4096 / n));
            Array.ForEach([.. kernels, .. onnxRuntime], graph => graph.Bind(rows));
            double[] times = Turns.Medians(
                runs,
                warmUps: 1,
                pause: 20,
                run => kernels[run % copies].Run(),
                run => onnxRuntime[run % copies].Run(),
                reads.Read
            );
            double multiplications = (double)rows * n * k;
            var result = new JsonObject
            {
                ["n"] = n,
                ["k"] = k,
                ["m"] = rows,
                ["runs"] = runs,
                ["kernels"] = Math.Round(times[0], 3),
                ["onnx_runtime"] = Math.Round(times[1], 3),
                ["read"] = Math.Round(times[2], 3),
                ["times_onnx_runtime"] = Math.Round(times[1] / times[0], 2),
                ["times_read"] = Math.Round(times[0] / times[2], 2),
                ["billion_products_per_second"] = Math.Round(multiplications / times[0] / 1e6, 1),
            };
            Console.WriteLine($"{bits} bits {result.ToJsonString()}");
            results.Add(result);
        }
        Array.ForEach([.. kernels, .. onnxRuntime], graph => graph.Dispose());
        return results;
    }

    /// <summary>Reads of as many bytes as a matrix has, by two threads.</summary>
    private sealed class Reads(long bytes, int copies)
    {
        private readonly byte[][] copies = [.. Enumerable.Range(0, copies).Select(_ => Filled(bytes))];
        private uint sum;

        public void Read(int run)
        {
            byte[] all = copies[run % copies.Length];
            int half = all.Length / 2 / 512 * 512;
            uint first = 0;
            uint second = 0;
            Parallel.Invoke(
                () => first = Sum(all.AsSpan(0, half)),
                () => second = Sum(all.AsSpan(half, (all.Length - half) / 512 * 512))
            );
            sum += first + second;
        }

        private static byte[] Filled(long bytes)
        {
            var filled = new byte[bytes];
            filled.AsSpan().Fill(3);
            return filled;
        }

        private static uint Sum(ReadOnlySpan<byte> bytes)
        {
            ReadOnlySpan<Vector<uint>> vectors = MemoryMarshal.Cast<byte, Vector<uint>>(bytes);
            Vector<uint> a = default;
            Vector<uint> b = default;
            Vector<uint> c = default;
            Vector<uint> d = default;
            for (int i = 0; i + 3 < vectors.Length; i += 4)
            {
                a ^= vectors[i];
                b ^= vectors[i + 1];
                c ^= vectors[i + 2];
                d ^= vectors[i + 3];
            }
            return Vector.Sum(a ^ b ^ c ^ d);
        }
    }
}
