using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Exporter.Weights;
using Bamba.Onnx.Graph;
using Bamba.Onnx.Graph.Proto;

namespace Bamba.Onnx.Exporter.Lowering;

/// <summary>Turns the modules of a model into an ONNX graph. Each module type has one place that lowers it, in a file of its name.</summary>
public static class BambaLowering
{
    /// <summary>Lowers a model for one profile.</summary>
    /// <param name="module">The model; its parameters' names and shapes are read, not their values, so it may be on the meta device.</param>
    /// <param name="profile">The door.</param>
    /// <param name="options">What all graphs of the folder share.</param>
    /// <param name="contextLength">Positions that rotary tables get rows for.</param>
    /// <param name="producer">The program that writes the graph, and its version.</param>
    /// <param name="weights">Collects the tensors that the graph refers to; the graphs of a folder share one.</param>
    /// <param name="quantization">Which matrices have fewer bits; null for none.</param>
    /// <param name="weightsFile">The file of the weights, relative to the graph's folder.</param>
    public static ModelProto Lower(
        BambaForCausalLM module,
        GraphProfile profile,
        GraphOptions options,
        int contextLength,
        (string Name, string Version) producer,
        WeightPlan weights,
        QuantizationOptions? quantization = null,
        string weightsFile = ModelFiles.Weights
    )
    {
        ArgumentNullException.ThrowIfNull(module);
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(weights);
        GraphSignature signature = GraphSignature.For(module.Config, profile, options);
        var model = new ModelBuilder("bamba", producer, signature);
        CacheSpec? keys = signature.Caches.FirstOrDefault(cache => cache.Kind == CacheKind.Key);
        TokenDoor door = TokenDoor.Open(model.Nodes, profile, keys is null ? null : new Value(keys.Past.Name));
        var context = new LoweringContext(
            module.Config,
            options,
            signature,
            quantization,
            model,
            door,
            contextLength,
            weights,
            weightsFile
        );

        Value hidden = ModelLowering.Lower(context, module.Model);
        CausalLMLowering.Lower(context, module, hidden, options.LogitsOf(profile));
        return model.Build();
    }
}
