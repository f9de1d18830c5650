using Bamba.Onnx.Contract;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Devices.Cuda;

/// <summary>
/// Memory of an NVIDIA device. It comes from the driver and not from ONNX Runtime's arena, since a captured graph goes on using
/// arena memory that its capture gave back.
/// </summary>
internal sealed unsafe class CudaBlock : MemoryBlock
{
    private readonly CudaDevice device;
    private nint address;

    /// <param name="device">Where.</param>
    /// <param name="bytes">Size.</param>
    /// <exception cref="BambaException">The device has not so much free.</exception>
    public CudaBlock(CudaDevice device, long bytes)
        : base(bytes)
    {
        this.device = device;
        device.Enter();
        if (CudaDriver.MemoryAllocate(out address, checked((nuint)Math.Max(bytes, 1))) != CudaDriver.Success)
        {
            throw new BambaException(
                $"expected {bytes} bytes free on {device.Name}, found {device.Memory().Free}, not all in one piece"
            );
        }
    }

    /// <inheritdoc/>
    public override nint Address => address;

    /// <inheritdoc/>
    protected override OrtMemoryInfo Info => device.MemoryInfo;

    /// <inheritdoc/>
    public override void Clear(long offset, long bytes)
    {
        device.Enter();
        CudaDevice.Check(
            CudaDriver.MemorySet(address + (nint)offset, 0, checked((nuint)bytes), device.Stream),
            "zeros"
        );
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (address != 0)
        {
            // Freeing waits for the device.
            _ = CudaDriver.ContextSetCurrent(device.Context);
            _ = CudaDriver.MemoryFree(address);
            address = 0;
        }
    }

    /// <inheritdoc/>
    protected override void CopyOut(Region source, byte* target)
    {
        Copy(address + (nint)source.Offset, source.Stride, (nint)target, source.PieceBytes, source);
        device.Synchronize();
    }

    /// <inheritdoc/>
    protected override void CopyIn(byte* source, Region target) =>
        Copy((nint)source, target.PieceBytes, address + (nint)target.Offset, target.Stride, target);

    /// <inheritdoc/>
    protected override void CopyAcross(MemoryBlock target, Region from, Region to) =>
        Copy(address + (nint)from.Offset, from.Stride, target.Address + (nint)to.Offset, to.Stride, from);

    private void Copy(nint source, long sourceStride, nint target, long targetStride, Region pieces)
    {
        if (pieces.Bytes == 0)
        {
            return;
        }
        device.Enter();
        bool whole = pieces.Pieces == 1 || (sourceStride == pieces.PieceBytes && targetStride == pieces.PieceBytes);
        CudaDevice.Check(
            whole
                ? CudaDriver.Copy(target, source, checked((nuint)pieces.Bytes), device.Stream)
                : CudaDriver.CopyPieces(
                    new CudaDriver.PieceCopy(
                        source,
                        sourceStride,
                        target,
                        targetStride,
                        pieces.PieceBytes,
                        pieces.Pieces
                    ),
                    device.Stream
                ),
            "a copy"
        );
    }
}
