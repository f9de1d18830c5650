using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Cli.Verification;

/// <summary>A conversation on a graph that takes a mask: tokens as they are padded, and a mask that grows.</summary>
internal sealed class MaskConversation(InferenceSession graph, GraphSignature signature, int batch, bool inPlace)
    : GraphConversation(graph, signature, batch, 0, inPlace)
{
    private readonly List<bool>[] mask = [.. Enumerable.Range(0, batch).Select(_ => new List<bool>())];
    private bool[][] lastReal = [];

    public override float[] LastLogits(int row) => LogitsAt(row, Array.LastIndexOf(lastReal[row], true)).ToArray();

    protected override List<OrtValue> BindFront(OrtIoBinding binding, PaddedBatch batch)
    {
        lastReal = batch.Real;
        for (int row = 0; row < Batch; row++)
        {
            mask[row].AddRange(batch.Real[row]);
        }
        long[] maskValues = [.. mask.SelectMany(row => row).Select(real => real ? 1L : 0L)];
        List<OrtValue> values =
        [
            OrtValue.CreateTensorValueFromMemory(batch.Ids.SelectMany(row => row).ToArray(), [Batch, batch.Width]),
            OrtValue.CreateTensorValueFromMemory(maskValues, [Batch, mask[0].Count]),
        ];
        binding.BindInput(TensorNames.InputIds, values[0]);
        binding.BindInput(TensorNames.AttentionMask, values[1]);
        return values;
    }
}
