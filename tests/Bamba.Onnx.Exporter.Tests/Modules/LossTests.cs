using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Testing;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

public sealed class LossTests
{
    private const double ZCoefficient = 0.01;

    [Fact]
    public void Cross_entropy_and_z_loss_are_their_definitions()
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = Load();
        Tensor ids = tensor(
            new long[,]
            {
                { 5, 6, 7, 8 },
                { 90, 80, 70, 60 },
            }
        );
        Tensor labels = tensor(
            new long[,]
            {
                { 5, 6, -100, 8 },
                { -100, 80, 70, -100 },
            }
        );

        BambaOutputs outputs = model.call(new() { InputIds = ids, Labels = labels });

        Tensor logProbabilities = outputs.Logits.log_softmax(-1);
        double sum = -new[] { (0, 0, 6), (0, 2, 8), (1, 0, 80), (1, 1, 70) }.Sum(t =>
            logProbabilities[t.Item1, t.Item2, t.Item3].item<double>()
        );
        double z = outputs.Logits.exp().sum(-1).log().square().mean().item<double>();
        Assert.Equal(z, outputs.ZLoss!.item<double>(), 1e-10);
        Assert.Equal((sum / 4) + (ZCoefficient * z), outputs.Loss!.item<double>(), 1e-10);

        Tensor counted = model
            .call(
                new()
                {
                    InputIds = ids,
                    Labels = labels,
                    NumItemsInBatch = 10,
                }
            )
            .Loss!;
        Assert.Equal((sum / 10) + (ZCoefficient * z), counted.item<double>(), 1e-10);

        Tensor shifted = tensor(
            new long[,]
            {
                { 6, -100, 8, -100 },
                { 80, 70, -100, -100 },
            }
        );
        Close.To(outputs.Loss!, model.call(new() { InputIds = ids, ShiftLabels = shifted }).Loss!, 0);
    }

    [Fact]
    public void Without_labels_there_is_no_loss_and_without_coefficient_no_z_loss()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        Tensor ids = reference.Longs("full.input_ids");

        Assert.Null(reference.Model.call(new() { InputIds = ids }).Loss);
        Assert.Null(reference.Model.call(new() { InputIds = ids, Labels = ids }).ZLoss);
    }

    [Fact]
    public void Masked_tokens_are_neither_predicted_nor_counted()
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = Load();
        Tensor ids = tensor(
            new long[,]
            {
                { 5, 6, 7 },
            }
        );
        // A row with a hole: 7 is what follows 6.
        Tensor padded = tensor(
            new long[,]
            {
                { 1, 5, 6, 1, 7, 1 },
            }
        );
        Tensor mask = tensor(
            new long[,]
            {
                { 0, 1, 1, 0, 1, 0 },
            }
        );
        Tensor aligned = tensor(
            new long[,]
            {
                { 3, 6, 7, 3, -100, 3 },
            }
        );

        BambaOutputs alone = model.call(new() { InputIds = ids, Labels = ids });
        BambaOutputs inBatch = model.call(
            new()
            {
                InputIds = padded,
                AttentionMask = mask,
                Labels = padded,
            }
        );
        BambaOutputs inBatchAligned = model.call(
            new()
            {
                InputIds = padded,
                AttentionMask = mask,
                ShiftLabels = aligned,
            }
        );

        Close.To(alone.Loss!, inBatch.Loss!, 1e-12);
        Close.To(alone.ZLoss!, inBatch.ZLoss!, 1e-12);
        Close.To(alone.Loss!, inBatchAligned.Loss!, 1e-12);
    }

    [Fact]
    public void No_sequence_of_a_packed_row_predicts_the_next_one()
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = Load();
        Tensor ids = tensor(
            new long[,]
            {
                { 5, 6, 7, 90, 80 },
            }
        );
        Tensor separated = tensor(
            new long[,]
            {
                { 5, 6, 7, -100, 80 },
            }
        );
        var inputs = new BambaInputs { InputIds = ids, CuSeqLensQ = tensor((int[])[0, 3, 5]) };

        Close.To(
            model.call(inputs with { Labels = separated }).Loss!,
            model.call(inputs with { Labels = ids }).Loss!,
            0
        );
    }

    private static BambaForCausalLM Load() =>
        ReferenceCase.LoadModel(
            TestData.Case("base"),
            config => config with { ZLossCoefficient = ZCoefficient },
            new BambaModuleOptions { Dtype = ScalarType.Float64 }
        );
}
