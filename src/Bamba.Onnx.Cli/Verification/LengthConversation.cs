using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Cli.Verification;

/// <summary>A conversation on <c>runtime.onnx</c>: real tokens first, and lengths.</summary>
internal sealed class LengthConversation(
    InferenceSession graph,
    GraphSignature signature,
    int batch,
    int capacity,
    bool inPlace
) : GraphConversation(graph, signature, batch, capacity, inPlace)
{
    private readonly int[] pastLens = new int[batch];
    private int[] seqLens = new int[batch];

    public override float[] LastLogits(int row) => LogitsAt(row, seqLens[row] - 1).ToArray();

    protected override List<OrtValue> BindFront(OrtIoBinding binding, PaddedBatch batch)
    {
        PaddedBatch dense = PaddedBatch.Right(batch.RealTokens());
        int[] past = (int[])pastLens.Clone();
        seqLens = [.. dense.Real.Select(row => row.Count(real => real))];
        for (int row = 0; row < Batch; row++)
        {
            pastLens[row] += seqLens[row];
        }
        List<OrtValue> values =
        [
            OrtValue.CreateTensorValueFromMemory(dense.Ids.SelectMany(row => row).ToArray(), [Batch, dense.Width]),
            OrtValue.CreateTensorValueFromMemory(past, [Batch]),
            OrtValue.CreateTensorValueFromMemory(seqLens, [Batch]),
        ];
        binding.BindInput(TensorNames.InputIds, values[0]);
        binding.BindInput(TensorNames.PastLens, values[1]);
        binding.BindInput(TensorNames.SeqLens, values[2]);
        return values;
    }
}
