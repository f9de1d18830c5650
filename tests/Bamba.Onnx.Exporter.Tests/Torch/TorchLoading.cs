using System.Runtime.CompilerServices;
using Bamba.Onnx.Exporter.Torch;

namespace Bamba.Onnx.Exporter.Tests.Torch;

internal static class TorchLoading
{
    /// <summary>Tests create tensors before modules, and in any order.</summary>
    [ModuleInitializer]
    internal static void Load() => TorchNative.EnsureLoaded();
}
