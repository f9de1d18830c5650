using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.State;

/// <summary>A buffer of one element type in ONNX Runtime's memory, which never moves.</summary>
internal sealed class NativeBuffer<T> : IDisposable
    where T : unmanaged
{
    private readonly OrtValue memory;
    private readonly ElementType type;

    public NativeBuffer(ElementType type, int length)
    {
        this.type = type;
        memory = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, OrtElementTypes.Of(type), [length]);
    }

    /// <summary>The elements.</summary>
    public Span<T> Span => MemoryMarshal.Cast<byte, T>(memory.GetTensorMutableRawData());

    /// <summary>Elements from <paramref name="start"/> on as a tensor; whoever asks disposes the value, not the memory.</summary>
    public OrtValue View(int start, params ReadOnlySpan<long> shape)
    {
        long length = 1;
        foreach (long size in shape)
        {
            length *= size;
        }
        Span<T> elements = Span.Slice(start, checked((int)length));
        return OrtElementTypes.View(MemoryMarshal.AsBytes(elements), type, shape.ToArray());
    }

    /// <inheritdoc/>
    public void Dispose() => memory.Dispose();
}
