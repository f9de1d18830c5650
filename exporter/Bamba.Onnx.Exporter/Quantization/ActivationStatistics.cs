using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Modules;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// How large the inputs of a model's linear layers are on text: an error of a weight moves an output by as much as the input that it
/// is multiplied with, so that the mean square of an input is what the squared errors of its weights count (the diagonal of the
/// Hessian of Frantar et al. 2022, GPTQ; what Lin et al. 2023, AWQ, call salience).
/// </summary>
/// <remarks>The text goes through one layer after another, of which one at a time is in memory, in float32.</remarks>
internal sealed class ActivationStatistics
{
    private readonly CheckpointFolder checkpoint;
    private readonly BambaConfig config;
    private readonly Dictionary<string, float[]> meanSquares = [];

    private ActivationStatistics(CheckpointFolder checkpoint)
    {
        this.checkpoint = checkpoint;
        config = checkpoint.Config;
    }

    /// <summary>Measures text.</summary>
    /// <param name="checkpoint">The model.</param>
    /// <param name="tokens">Windows of as many tokens each; no window sees another.</param>
    /// <param name="cancellation">Looked at between layers.</param>
    /// <returns>By the name of a linear layer's weight, the mean square of each input channel.</returns>
    public static IReadOnlyDictionary<string, float[]> Measure(
        CheckpointFolder checkpoint,
        IReadOnlyList<int[]> tokens,
        CancellationToken cancellation
    )
    {
        var statistics = new ActivationStatistics(checkpoint);
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        statistics.Run(tokens, cancellation);
        return statistics.meanSquares;
    }

    private void Run(IReadOnlyList<int[]> tokens, CancellationToken cancellation)
    {
        TokenLayout layout = TokenLayoutReader.Read(
            new BambaInputs { InputIds = zeros(tokens.Count, tokens[0].Length, int64) },
            config.Layers.Length
        );
        RotaryAngles angles = new RotaryEmbedding("rotary_emb", config).call(layout.DefaultPositions);
        Tensor hidden = Embed(tokens);
        for (int i = 0; i < config.Layers.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            using DisposeScope scope = NewDisposeScope();
            string path = $"{BambaTensors.Prefix}layers.{i}";
            using var layer = new BambaDecoderLayer(path, config, new BambaModuleOptions(), i);
            ParameterLoader.Load(layer, path, checkpoint);
            Watch(layer, path);
            Tensor next = layer
                .call(
                    new LayerInput
                    {
                        Hidden = hidden,
                        Layout = layout,
                        Angles = angles,
                    }
                )
                .Hidden.MoveToOuterDisposeScope();
            hidden.Dispose();
            hidden = next;
        }
        using var norm = new RmsNorm($"{BambaTensors.Prefix}final_layernorm", config, new BambaModuleOptions());
        ParameterLoader.Load(norm, norm.Path, checkpoint);
        Add(BambaTensors.LmHead, norm.call(hidden));
    }

    /// <summary>Rows of the embedding, read one by one: of a large vocabulary a text uses few.</summary>
    private Tensor Embed(IReadOnlyList<int[]> tokens)
    {
        CheckpointTensor table = checkpoint.Tensors[BambaTensors.Embedding];
        int rowBytes = config.HiddenSize * table.Type.SizeInBytes();
        Tensor rows = empty(
            tokens.Count * tokens[0].Length,
            config.HiddenSize,
            ParameterLoader.ScalarTypeOf(table.Type)
        );
        int row = 0;
        foreach (int token in tokens.SelectMany(window => window))
        {
            checkpoint.Read(table.Name, (long)token * rowBytes, rows.bytes.Slice(row * rowBytes, rowBytes));
            row++;
        }
        return rows.to_type(ScalarType.Float32).view(tokens.Count, tokens[0].Length, config.HiddenSize);
    }

    private void Watch(BambaDecoderLayer layer, string path)
    {
        foreach ((string name, nn.Module module) in layer.named_modules())
        {
            if (module is Linear linear)
            {
                linear.register_forward_pre_hook(
                    (_, input) =>
                    {
                        Add($"{path}.{name}.weight", input);
                        return input;
                    }
                );
            }
        }
    }

    private void Add(string weight, Tensor input)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor rows = input.flatten(0, -2).to_type(ScalarType.Float32);
        meanSquares[weight] = rows.square().mean([0]).data<float>().ToArray();
    }
}
