using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

public sealed class ParameterInitializerTests
{
    [Fact]
    public void Fresh_weights_are_those_of_Hugging_Face()
    {
        using var scope = NewDisposeScope();
        BambaConfig config = ReferenceCase.Config("two-groups") with { MambaConvBias = true, InitializerRange = 0.05 };
        using var model = new BambaForCausalLM(config with { TieWordEmbeddings = false });

        foreach ((string name, var parameter) in model.named_parameters())
        {
            double[] values = parameter.to_type(ScalarType.Float64).flatten().data<double>().ToArray();
            if (name.EndsWith("A_log", StringComparison.Ordinal))
            {
                Assert.Equal(
                    Enumerable.Range(1, values.Length).Select(h => Math.Log(h)),
                    values,
                    (e, a) => Math.Abs(e - a) < 1e-6
                );
            }
            else if (
                name.EndsWith("norm.weight", StringComparison.Ordinal)
                || name.EndsWith(".D", StringComparison.Ordinal)
                || name.EndsWith("dt_bias", StringComparison.Ordinal)
            )
            {
                Assert.All(values, value => Assert.Equal(1, value));
            }
            else if (name.EndsWith("bias", StringComparison.Ordinal))
            {
                Assert.All(values, value => Assert.Equal(0, value));
            }
            else
            {
                double deviation = Math.Sqrt(values.Average(value => value * value));
                Assert.True(Math.Abs(deviation - 0.05) < 0.005, $"{name}: standard deviation {deviation:g3}");
            }
        }
        Assert.Equal(0, model.Model.EmbedTokens.Weight.select(0, config.PadTokenId!.Value).abs().max().item<float>());
    }

    [Fact]
    public void A_group_size_that_does_not_divide_the_mixer_is_refused()
    {
        BambaConfig config = ReferenceCase.Config("base");
        var options = new BambaModuleOptions { NormGroupSize = 48 };

        var error = Assert.Throws<ArgumentException>(() => new BambaForCausalLM(config, options));
        Assert.Contains("divisor of the mixer's width 128, found 48", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_gated_norm_takes_its_mean_over_each_group()
    {
        using var scope = NewDisposeScope();
        BambaConfig config = ReferenceCase.Config("base");
        using var whole = new GatedRmsNorm("norm", config, new BambaModuleOptions());
        using var grouped = new GatedRmsNorm("norm", config, new BambaModuleOptions { NormGroupSize = 64 });
        Fill(whole);
        Fill(grouped);
        Tensor hidden = randn(2, 3, 128);
        Tensor gate = randn(2, 3, 128);

        Tensor gated = hidden * nn.functional.silu(gate);
        Tensor ByHand(Tensor part) => part / (part.square().mean([-1], keepdim: true) + config.RmsNormEps).sqrt();

        Close.To(ByHand(gated) * 3, whole.call((hidden, gate)), 1e-5);
        Tensor halves = cat([ByHand(gated.narrow(2, 0, 64)), ByHand(gated.narrow(2, 64, 64))], 2);
        Close.To(halves * 3, grouped.call((hidden, gate)), 1e-5);

        static void Fill(GatedRmsNorm norm)
        {
            using var noGradients = no_grad();
            norm.Weight.fill_(3);
        }
    }
}
