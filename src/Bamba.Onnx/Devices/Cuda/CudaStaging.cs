using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>Memory of the processor that stays in place, so that a device copies from it by itself, and writes to it.</summary>
internal sealed class CudaStaging : StagingMemory
{
    private readonly CudaDevice device;

    /// <param name="device">The device.</param>
    /// <param name="bytes">Size.</param>
    /// <exception cref="BambaException">There is not so much.</exception>
    public CudaStaging(CudaDevice device, long bytes)
    {
        this.device = device;
        device.Enter();
        CudaDevice.Check(
            CudaDriver.HostAllocate(out nint address, checked((nuint)Math.Max(bytes, 1)), CudaDriver.Portable),
            $"{bytes} bytes of the processor's memory"
        );
        Address = address;
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (Address != 0)
        {
            _ = CudaDriver.ContextSetCurrent(device.Context);
            _ = CudaDriver.HostFree(Address);
            Address = 0;
        }
    }
}
