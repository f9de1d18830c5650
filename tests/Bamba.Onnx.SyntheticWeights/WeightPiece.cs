using Bamba.Onnx.Contract;

namespace Bamba.Onnx.SyntheticWeights;

/// <summary>A run of a tensor's elements, which is made and written by itself.</summary>
/// <param name="Tensor">The tensor.</param>
/// <param name="Index">Which of its pieces.</param>
/// <param name="First">The first element.</param>
/// <param name="Count">How many there are.</param>
internal readonly record struct WeightPiece(ExternalTensor Tensor, int Index, long First, int Count)
{
    /// <summary>Most elements of a piece.</summary>
    public const int MostElements = 1 << 21;

    /// <summary>Where its bytes start in the file.</summary>
    public long Offset => Tensor.Offset + (First * Tensor.Type.SizeInBytes());

    /// <summary>All pieces of a tensor, in order.</summary>
    public static IEnumerable<WeightPiece> Of(ExternalTensor tensor)
    {
        long elements = tensor.Bytes / tensor.Type.SizeInBytes();
        for (int index = 0; (long)index * MostElements < elements; index++)
        {
            long first = (long)index * MostElements;
            yield return new WeightPiece(tensor, index, first, (int)Math.Min(MostElements, elements - first));
        }
    }
}
