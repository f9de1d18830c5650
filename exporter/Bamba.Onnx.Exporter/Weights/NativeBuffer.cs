using System.Runtime.InteropServices;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>
/// A buffer outside the managed heap: its memory goes back when it is disposed, where a large array would stay until the
/// collector finds a reason.
/// </summary>
internal sealed unsafe class NativeBuffer : SafeHandle
{
    private readonly int bytes;

    public NativeBuffer(int bytes)
        : base(0, ownsHandle: true)
    {
        this.bytes = bytes;
        SetHandle((nint)NativeMemory.AlignedAlloc((nuint)bytes, WeightPlan.PageBytes));
    }

    public override bool IsInvalid => handle == 0;

    /// <summary>The bytes, aligned to a page; not to be used after disposal.</summary>
    public Span<byte> Span
    {
        get
        {
            ObjectDisposedException.ThrowIf(IsClosed, this);
            return new Span<byte>((void*)handle, bytes);
        }
    }

    protected override bool ReleaseHandle()
    {
        NativeMemory.AlignedFree((void*)handle);
        return true;
    }
}
