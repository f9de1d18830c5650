namespace Bamba.Onnx.Sampling;

/// <summary>An array that grows to the largest length asked for, so that work of a steady size allocates once.</summary>
internal sealed class ScratchArray<T>
{
    private T[] array = [];

    /// <summary>The first elements; what they hold is left over from the last use.</summary>
    public Span<T> First(int length)
    {
        if (array.Length < length)
        {
            array = new T[length];
        }
        return array.AsSpan(0, length);
    }
}
