using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Devices;

/// <summary>The memory in which a runtime's sessions keep caches and what their calls read and write.</summary>
internal abstract class MemorySpace
{
    /// <summary>The processor's memory.</summary>
    public static MemorySpace Host { get; } = new HostSpace();

    /// <summary>Takes memory; what it holds is not defined.</summary>
    /// <exception cref="BambaException">There is not so much on the device.</exception>
    /// <exception cref="OutOfMemoryException">The processor has not so much.</exception>
    public abstract MemoryBlock Allocate(long bytes);

    /// <summary>Takes memory for what comes and goes with calls.</summary>
    /// <exception cref="BambaException">There is not so much on the device.</exception>
    /// <exception cref="OutOfMemoryException">The processor has not so much.</exception>
    public virtual MemoryBlock AllocatePassing(long bytes) => Allocate(bytes);

    /// <summary>Takes memory of the processor from which the device copies while the processor goes on; null where the space is the processor's own.</summary>
    /// <exception cref="BambaException">There is not so much.</exception>
    public abstract StagingMemory? AllocateStaging(long bytes);

    private sealed class HostSpace : MemorySpace
    {
        public override MemoryBlock Allocate(long bytes) => new HostBlock(bytes);

        public override MemoryBlock AllocatePassing(long bytes) =>
            bytes is > 0 and <= int.MaxValue / 2 ? HostBlock.Passing((int)bytes) : Allocate(bytes);

        public override StagingMemory? AllocateStaging(long bytes) => null;
    }
}

/// <summary>Memory of the processor that a device reads and writes by itself.</summary>
internal abstract class StagingMemory : IDisposable
{
    /// <summary>The first byte's address, for the processor and the device alike.</summary>
    public nint Address { get; protected set; }

    /// <inheritdoc/>
    public abstract void Dispose();
}
