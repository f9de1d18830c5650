using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Testing;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

public sealed class GradientTests
{
    private static readonly long[][] texts =
    [
        [5, 17, 200, 3, 90, 14, 14, 77, 251, 6, 31, 8],
        [44],
        [0, 9, 118, 0, 23, 61, 2, 300, 12, 7, 19, 40, 41, 42, 43, 10, 11, 12, 13, 14],
    ];

    [Theory]
    [InlineData("base")]
    [InlineData("two-groups")]
    [InlineData("dt-limit")]
    public void Gradients_of_every_parameter_agree_with_central_differences(string name)
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = Load(name);
        BambaInputs inputs = Pack([texts[0], texts[2]]);
        Backward(model, inputs);
        using var random = new Generator(3);

        foreach ((string parameterName, Parameter parameter) in model.named_parameters())
        {
            using var parameterScope = NewDisposeScope();
            Tensor direction = randn(parameter.shape, ScalarType.Float64, generator: random);
            double analytic = (parameter.grad! * direction).sum().item<double>();
            double numeric = DirectionalDerivative(model, inputs, parameter, direction);
            double scale = Math.Max(Math.Abs(numeric), 1e-3);
            Assert.True(
                Math.Abs(analytic - numeric) <= 1e-5 * scale,
                $"{parameterName}: gradient {analytic:g9}, differences {numeric:g9}"
            );
            Assert.True(parameter.grad!.abs().max().item<double>() > 0, $"{parameterName}: no gradient");
        }
    }

    [Theory]
    [InlineData("base")]
    [InlineData("two-groups")]
    [InlineData("all-mamba")]
    [InlineData("all-attention-but-one")]
    public void A_packed_batch_learns_what_its_sequences_learn_alone(string name)
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = Load(name);
        long items = texts.Sum(text => text.Length - 1);
        BambaInputs packed = Pack(texts);

        Dictionary<string, Tensor> together = Backward(model, packed);
        // Each text's labels are summed, and divided by the number of labels in all of them.
        Dictionary<string, Tensor> alone = Backward(
            model,
            [.. texts.Select(text => Alone(text) with { NumItemsInBatch = items })]
        );
        Dictionary<string, Tensor> leaking = Backward(model, packed with { SeqIdx = null, PositionIds = null });

        foreach ((string parameter, Tensor gradient) in together)
        {
            Close.To(alone[parameter], gradient, 1e-10, parameter);
        }
        // Without limits the sequences learn from each other: the comparison can fail.
        Assert.Contains(together, g => Close.Distance(g.Value, leaking[g.Key]) > 1e-4);
    }

    [Theory]
    [InlineData("left")]
    [InlineData("right")]
    public void A_padded_batch_learns_what_a_packed_one_learns(string side)
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = Load("base", zLoss: 0.01);
        BambaInputs packed = Pack(texts);
        int width = texts.Max(text => text.Length);
        Tensor ids = stack(texts.Select(text => tensor(Pad(text, 1))));
        Tensor mask = stack(texts.Select(text => tensor(Pad([.. text.Select(_ => 1L)], 0))));
        // Labels of padding are ignored whatever they are.
        var padded = new BambaInputs
        {
            InputIds = ids,
            AttentionMask = mask,
            Labels = ids,
        };

        Dictionary<string, Tensor> expected = Backward(model, packed);
        Dictionary<string, Tensor> actual = Backward(model, padded);

        Close.To(model.call(packed).Loss!, model.call(padded).Loss!, 1e-10);
        foreach ((string parameter, Tensor gradient) in expected)
        {
            Close.To(gradient, actual[parameter], 1e-10, parameter);
        }

        long[] Pad(long[] text, long filling)
        {
            long[] padding = [.. Enumerable.Repeat(filling, width - text.Length)];
            return side == "left" ? [.. padding, .. text] : [.. text, .. padding];
        }
    }

    [Fact]
    public void Gradients_flow_through_a_cache()
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = Load("base");
        Tensor ids = tensor(texts[2]).unsqueeze(0);
        Dictionary<string, Tensor> whole = Backward(
            model,
            () => model.call(new() { InputIds = ids }).Logits.square().sum()
        );

        Dictionary<string, Tensor> cut = Backward(
            model,
            () =>
            {
                BambaOutputs head = model.call(new() { InputIds = ids.narrow(1, 0, 7), UseCache = true });
                BambaOutputs rest = model.call(new() { InputIds = ids.narrow(1, 7, 13), Cache = head.Cache });
                return head.Logits.square().sum() + rest.Logits.square().sum();
            }
        );

        foreach ((string parameter, Tensor gradient) in whole)
        {
            Close.To(gradient, cut[parameter], 1e-8 * Math.Max(1, gradient.abs().max().item<double>()), parameter);
        }
    }

    private static BambaForCausalLM Load(string name, double zLoss = 0) =>
        ReferenceCase.LoadModel(
            TestData.Case(name),
            config => config with { ZLossCoefficient = zLoss },
            new BambaModuleOptions { Dtype = ScalarType.Float64 }
        );

    private static BambaInputs Alone(long[] text) =>
        new() { InputIds = tensor(text).unsqueeze(0), Labels = tensor(text).unsqueeze(0) };

    private static BambaInputs Pack(long[][] samples) =>
        new DataCollatorWithFlattening().Collate([.. samples.Select(sample => new TrainingSample(sample))]);

    private static Dictionary<string, Tensor> Backward(BambaForCausalLM model, params BambaInputs[] batches) =>
        Backward(model, () => batches.Select(batch => model.call(batch).Loss!).Aggregate((a, b) => a + b));

    private static Dictionary<string, Tensor> Backward(BambaForCausalLM model, Func<Tensor> loss)
    {
        model.zero_grad();
        loss().backward();
        return model.named_parameters().ToDictionary(p => p.name, p => p.parameter.grad!.clone());
    }

    /// <summary>Fourth-order central difference of the loss along a direction.</summary>
    private static double DirectionalDerivative(
        BambaForCausalLM model,
        BambaInputs inputs,
        Parameter parameter,
        Tensor direction
    )
    {
        using var noGradients = no_grad();
        double step = 1e-4 / Math.Max(1, direction.norm().item<double>());
        using Tensor original = parameter.clone();
        double derivative = ((8 * (At(1) - At(-1))) - (At(2) - At(-2))) / (12 * step);
        parameter.copy_(original);
        return derivative;

        double At(int steps)
        {
            using var scope = NewDisposeScope();
            parameter.copy_(original + (direction * (steps * step)));
            return model.call(inputs).Loss!.item<double>();
        }
    }
}
