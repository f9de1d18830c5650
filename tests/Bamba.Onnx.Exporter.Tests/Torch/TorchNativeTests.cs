using Bamba.Onnx.Exporter.Torch;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Torch;

public sealed class TorchNativeTests
{
    [Fact]
    public void TorchSharp_computes_after_loading_from_many_threads()
    {
        Parallel.For(0, 8, _ => TorchNative.EnsureLoaded());

        using Tensor total = arange(4).sum();
        Assert.Equal(6, total.item<long>());
    }
}
