using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.State;

/// <summary>A buffer of one element type in ONNX Runtime's memory, which never moves.</summary>
internal sealed unsafe class NativeBuffer<T> : IDisposable
    where T : unmanaged
{
    private readonly OrtValue memory;
    private readonly ElementType type;
    private readonly T* elements;
    private readonly int length;

    public NativeBuffer(ElementType type, int length)
    {
        this.type = type;
        this.length = length;
        memory = OrtValue.CreateAllocatedTensorValue(OrtAllocator.DefaultInstance, OrtElementTypes.Of(type), [length]);
        // Asked for once: each question to the value costs calls into ONNX Runtime, and a decode step has few microseconds.
        elements = (T*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(memory.GetTensorMutableRawData()));
    }

    /// <summary>The elements.</summary>
    public Span<T> Span => new(elements, length);

    /// <summary>Elements from <paramref name="start"/> on as a tensor; whoever asks disposes the value, not the memory.</summary>
    public OrtValue View(int start, params ReadOnlySpan<long> shape)
    {
        long count = 1;
        foreach (long size in shape)
        {
            count *= size;
        }
        Span<T> viewed = Span.Slice(start, checked((int)count));
        return OrtElementTypes.View(MemoryMarshal.AsBytes(viewed), type, shape.ToArray());
    }

    /// <inheritdoc/>
    public void Dispose() => memory.Dispose();
}
