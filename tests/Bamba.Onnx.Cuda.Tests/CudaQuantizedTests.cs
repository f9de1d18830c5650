using System.Numerics.Tensors;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Cuda.Tests;

/// <summary>
/// Models with weights of few bits on a device: our kernels, of which one takes few rows and another many, against the
/// functions in the file, which are ONNX Runtime's operators.
/// </summary>
[Collection(CudaMachine.Name)]
public sealed class CudaQuantizedTests
{
    private const string Text =
        "ROMEO:\nBut, soft! what light through yonder window breaks?\nIt is the east, and Juliet is the sun.\n";

    // Of logits up to about 20, in 16 bits, which both ways round at other places.
    private const float Float16Limit = 0.08f;
    private const float BFloat16Limit = 0.6f;

    public static TheoryData<string> Names => [.. CudaMachine.Quantized.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Kernels_and_functions_give_the_same_scores(string name)
    {
        CudaMachine.Require();
        float limit = CudaMachine.Quantized[name].Dtype == ElementType.Float16 ? Float16Limit : BFloat16Limit;
        using BambaRuntime kernels = CudaMachine.LoadQuantized(name);
        using BambaRuntime functions = CudaMachine.LoadQuantized(name, CustomOps.Off);
        int[] tokens = kernels.Tokenizer.Encode(Text);
        // One row, rows that fill tiles of a device and that don't, and rows that a product of matrices takes.
        foreach (int batch in (int[])[1, 3, 11, 20, 70])
        {
            using BambaSession actual = kernels.CreateSession(batch);
            using BambaSession expected = functions.CreateSession(batch);
            ReadOnlyMemory<int>[] prompts =
            [
                .. Enumerable.Range(0, batch).Select(row => tokens.AsMemory(0, 5 + (row % 9))),
            ];
            Compare(actual.Prefill(prompts), expected.Prefill(prompts), batch, limit);
            for (int step = 0; step < 4; step++)
            {
                int[] next = [.. Enumerable.Range(0, batch).Select(row => tokens[(row + (3 * step)) % tokens.Length])];
                Compare(actual.Decode(next), expected.Decode(next), batch, limit);
            }
        }
    }

    private static void Compare(Logits actual, Logits expected, int batch, float limit)
    {
        for (int row = 0; row < batch; row++)
        {
            float[] differences = new float[expected.Row(row).Length];
            TensorPrimitives.Subtract(actual.Row(row), expected.Row(row), differences);
            Assert.InRange(TensorPrimitives.MaxMagnitude<float>(differences), -limit, limit);
        }
    }
}
