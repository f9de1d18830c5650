using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Testing;
using TorchSharp;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

public sealed class TrainingTests
{
    [Fact]
    public void A_fresh_model_learns_a_packed_batch()
    {
        using var scope = NewDisposeScope();
        BambaConfig config = ReferenceCase.Config("base") with { ZLossCoefficient = 1e-4 };
        random.manual_seed(7);
        using var model = new BambaForCausalLM(config);
        model.train();
        using var optimizer = optim.AdamW(model.parameters(), lr: 3e-3);
        var numbers = new Random(1);
        TrainingSample[] samples =
        [
            .. Enumerable
                .Range(4, 6)
                .Select(length => new TrainingSample([
                    .. Enumerable.Range(0, length * 3).Select(_ => numbers.NextInt64(320)),
                ])),
        ];
        BambaInputs batch = new DataCollatorWithFlattening().Collate(samples);

        var losses = new List<float>();
        for (int step = 0; step < 30; step++)
        {
            using var stepScope = NewDisposeScope();
            Tensor loss = model.call(batch).Loss!;
            optimizer.zero_grad();
            loss.backward();
            optimizer.step();
            losses.Add(loss.item<float>());
        }

        // It starts as good as a guess among 320 tokens and then knows the batch by heart.
        Assert.InRange(losses[0], Math.Log(320) - 0.3, Math.Log(320) + 0.3);
        Assert.True(losses[^1] < losses[0] / 3, $"the loss went from {losses[0]} to {losses[^1]}");
    }

    [Fact]
    public void Attention_dropout_works_while_training_only()
    {
        using var scope = NewDisposeScope();
        using var noGradients = no_grad();
        using BambaForCausalLM model = ReferenceCase.LoadModel(
            TestData.Case("base"),
            config => config with { AttentionDropout = 0.5 }
        );
        var inputs = new BambaInputs
        {
            InputIds = tensor(
                new long[,]
                {
                    { 5, 6, 7, 8, 9, 10, 11, 12 },
                }
            ),
        };

        model.train();
        Assert.True(Close.Distance(model.call(inputs).Logits, model.call(inputs).Logits) > 100 * Close.Tolerance);
        model.eval();
        Close.To(model.call(inputs).Logits, model.call(inputs).Logits, 0);
    }

    [Fact]
    public void Forward_passes_leave_nothing_behind_but_their_outputs()
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = ReferenceCase.LoadModel(TestData.Case("base"));
        Tensor ids = tensor(
            new long[,]
            {
                { 5, 6, 7, 8 },
                { 9, 10, 11, 12 },
            }
        );
        Tensor mask = tensor(
            new long[,]
            {
                { 0, 1, 1, 1 },
                { 1, 1, 0, 1 },
            }
        );
        var inputs = new BambaInputs
        {
            InputIds = ids,
            AttentionMask = mask,
            Labels = ids,
            UseCache = true,
            OutputHiddenStates = true,
            OutputAttentions = true,
        };
        model.call(inputs).Loss!.backward();

        ThreadDisposeScopeStatistics statistics = DisposeScopeManager.Statistics;
        long before = statistics.ThreadTotalLiveCount;
        using (NewDisposeScope())
        {
            BambaOutputs outputs = model.call(inputs);
            long created = statistics.ThreadTotalLiveCount - before;
            // Logits, loss, five hidden states of which the last is also the last hidden state, the weights of one attention
            // layer, two states for each of four layers.
            Assert.Equal(2 + 5 + 1 + 8, created);
            outputs.Loss!.backward();
        }
        Assert.Equal(before, statistics.ThreadTotalLiveCount);
    }
}
