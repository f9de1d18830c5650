using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Devices;

/// <summary>
/// A buffer of one element type that the processor fills and a graph reads. In the processor's own memory both see the same
/// bytes; on a device the graph sees what was uploaded.
/// </summary>
internal sealed unsafe class MirroredBuffer<T> : IDisposable
    where T : unmanaged
{
    private readonly ElementType type;
    private readonly MemoryBlock bound;
    private readonly StagingMemory? staging;
    private readonly int length;

    /// <param name="space">The graph's memory.</param>
    /// <param name="type">The element type.</param>
    /// <param name="length">Elements, zero at first.</param>
    public MirroredBuffer(MemorySpace space, ElementType type, int length)
    {
        this.type = type;
        this.length = length;
        long bytes = (long)length * sizeof(T);
        bound = space.Allocate(bytes);
        try
        {
            staging = space.AllocateStaging(bytes);
            Span.Clear();
            Upload(0, length);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The elements as the processor sees them.</summary>
    public Span<T> Span => new((void*)(staging?.Address ?? bound.Address), length);

    /// <summary>Where the graph sees them.</summary>
    public nint Address => bound.Address;

    /// <summary>Elements from <paramref name="start"/> on as a tensor; whoever asks disposes the value, not the memory.</summary>
    public OrtValue View(int start, params ReadOnlySpan<long> shape) =>
        bound.View((long)start * sizeof(T), type, shape);

    /// <summary>Lets the graph see elements that the processor wrote. They must stay until the graph's next call ends.</summary>
    public void Upload(int start, int count)
    {
        if (staging is not null)
        {
            bound.Write(
                new Region((long)start * sizeof(T), (long)count * sizeof(T)),
                MemoryMarshal.AsBytes(Span.Slice(start, count))
            );
        }
    }

    /// <summary>Lets the processor see elements that the device wrote.</summary>
    public void Download(int start, int count)
    {
        if (staging is not null)
        {
            bound.Read(
                new Region((long)start * sizeof(T), (long)count * sizeof(T)),
                MemoryMarshal.AsBytes(Span.Slice(start, count))
            );
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        bound.Dispose();
        staging?.Dispose();
    }
}
