using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Torch;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>What every module of the model knows: its configuration, and where it is in the checkpoint.</summary>
/// <typeparam name="TInput">What <c>forward</c> takes.</typeparam>
/// <typeparam name="TOutput">What <c>forward</c> gives; its tensors belong to the caller's dispose scope.</typeparam>
public abstract class BambaModule<TInput, TOutput> : nn.Module<TInput, TOutput>
{
    // Runs before any constructor of TorchSharp, which would fail for good where the library needs help to load.
    static BambaModule() => TorchNative.EnsureLoaded();

    private protected BambaModule(string path, BambaConfig config)
        : base(path)
    {
        Path = path;
        Config = config;
    }

    /// <summary>
    /// The prefix of its parameters in a checkpoint, without the last dot: <c>model.layers.3.mamba</c>; empty for
    /// <see cref="BambaForCausalLM"/>.
    /// </summary>
    public string Path { get; }

    /// <summary>The configuration of the whole model.</summary>
    public BambaConfig Config { get; }

    private protected string ChildPath(string name) => Path.Length == 0 ? name : $"{Path}.{name}";
}
