using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Exporter.Quantization;
using Bamba.Onnx.Testing;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Quantization;

public sealed class ActivationStatisticsTests
{
    [Theory]
    [InlineData("base")]
    [InlineData("two-groups")]
    [InlineData("bamba-9b-heads")]
    public void Mean_squares_are_those_of_the_whole_model(string name)
    {
        using CheckpointFolder checkpoint = CheckpointFolder.Open(TestData.Case(name));
        var random = new Random(1);
        int[][] windows =
        [
            .. Enumerable
                .Range(0, 3)
                .Select(_ => Enumerable.Range(0, 40).Select(_ => random.Next(checkpoint.Config.VocabSize)).ToArray()),
        ];

        IReadOnlyDictionary<string, float[]> found = ActivationStatistics.Measure(checkpoint, windows, default);

        Dictionary<string, float[]> expected = OfTheWholeModel(TestData.Case(name), checkpoint.Config, windows);
        Assert.Equal(expected.Keys.Order(), found.Keys.Order());
        foreach ((string weight, float[] squares) in expected)
        {
            Assert.Equal(squares.Length, found[weight].Length);
            for (int channel = 0; channel < squares.Length; channel++)
            {
                Assert.InRange(
                    found[weight][channel] - squares[channel],
                    -1e-4f * squares.Max(),
                    1e-4f * squares.Max()
                );
            }
        }
    }

    [Fact]
    public void Cancellation_ends_it()
    {
        using CheckpointFolder checkpoint = CheckpointFolder.Open(TestData.Case("base"));
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() =>
            ActivationStatistics.Measure(
                checkpoint,
                [
                    [1, 2, 3],
                ],
                cancelled.Token
            )
        );
    }

    private static Dictionary<string, float[]> OfTheWholeModel(string folder, BambaConfig config, int[][] windows)
    {
        var squares = new Dictionary<string, float[]>();
        using IDisposable noGradients = no_grad();
        using DisposeScope scope = NewDisposeScope();
        using var model = new BambaForCausalLM(config);
        using (SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, ModelFiles.Checkpoint)))
        {
            model.Load(file);
        }
        foreach ((string name, nn.Module module) in model.named_modules())
        {
            if (module is Linear linear)
            {
                linear.register_forward_pre_hook(
                    (_, input) =>
                    {
                        squares[$"{name}.weight"] = [.. input.flatten(0, -2).square().mean([0]).data<float>()];
                        return input;
                    }
                );
            }
        }
        Tensor ids = tensor(windows.SelectMany(window => window).ToArray(), [windows.Length, windows[0].Length], int64);
        BambaModelOutputs outputs = model.Model.call(new BambaInputs { InputIds = ids });
        squares["lm_head.weight"] = [.. outputs.LastHiddenState.flatten(0, -2).square().mean([0]).data<float>()];
        return squares;
    }
}
