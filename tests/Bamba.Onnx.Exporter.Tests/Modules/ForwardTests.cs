using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Testing;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>The ways to call the model that no reference data covers.</summary>
public sealed class ForwardTests
{
    [Fact]
    public void Embeddings_give_what_their_token_ids_give()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        Tensor ids = reference.Longs("full.input_ids");
        Tensor embeddings = reference.Model.Model.EmbedTokens.call(ids);
        Tensor mask = ones_like(ids);
        mask.narrow(1, 0, 3).zero_();

        Tensor expected = reference.Model.call(new() { InputIds = ids, AttentionMask = mask }).Logits;
        Tensor actual = reference.Model.call(new() { InputsEmbeds = embeddings, AttentionMask = mask }).Logits;

        Close.To(expected, actual, 0);
        // The caller's tensor is borrowed, also where it is an output.
        reference
            .Model.call(new() { InputsEmbeds = embeddings, OutputHiddenStates = true })
            .HiddenStates![0]
            .Dispose();
        Assert.False(embeddings.IsInvalid);
    }

    [Fact]
    public void Logits_are_kept_where_asked_for()
    {
        using ReferenceCase reference = ReferenceCase.Open("two-groups");
        Tensor ids = reference.Longs("full.input_ids");
        Tensor all = reference.Model.call(new() { InputIds = ids }).Logits;
        long length = ids.shape[1];

        Close.To(all.narrow(1, length - 3, 3), Keep(LogitsToKeep.Last(3)));
        Close.To(all, Keep(LogitsToKeep.Last(1000)));
        Close.To(all.index_select(1, tensor((long[])[4, 0, 7])), Keep(LogitsToKeep.At(tensor((long[])[4, 0, 7]))));
        Assert.Throws<ArgumentOutOfRangeException>(() => LogitsToKeep.Last(0));
        Assert.Throws<ArgumentException>(() => LogitsToKeep.At(ones(1, 2)));

        Tensor Keep(LogitsToKeep kept) => reference.Model.call(new() { InputIds = ids, LogitsToKeep = kept }).Logits;
    }

    [Fact]
    public void Attention_weights_are_causal_probabilities()
    {
        using ReferenceCase reference = ReferenceCase.Open("all-attention-but-one");
        BambaOutputs outputs = reference.Model.call(
            new() { InputIds = reference.Longs("full.input_ids"), OutputAttentions = true }
        );

        Assert.Equal(reference.Model.Config.Layers.Length - 1, outputs.Attentions!.Count);
        foreach (Tensor weights in outputs.Attentions)
        {
            Assert.Equal(
                [2, reference.Model.Config.NumAttentionHeads, weights.shape[3], weights.shape[3]],
                weights.shape
            );
            Close.To(ones(weights.shape[..3]), weights.sum(-1), 1e-5);
            Assert.Equal(0, weights.triu(1).max().item<float>());
        }
    }

    [Fact]
    public void Positions_may_be_given_and_only_their_differences_matter()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        Tensor ids = reference.Longs("full.input_ids");
        Tensor positions = arange(ids.shape[1]).unsqueeze(0);
        Tensor expected = reference.Floats("full.logits");

        Close.To(expected, reference.Model.call(new() { InputIds = ids, PositionIds = positions }).Logits);
        Close.To(expected, reference.Model.call(new() { InputIds = ids, PositionIds = positions + 100 }).Logits, 1e-3);
        Tensor spread = reference.Model.call(new() { InputIds = ids, PositionIds = positions * 3 }).Logits;
        Assert.True(Close.Distance(expected, spread) > 100 * Close.Tolerance);
    }

    [Fact]
    public void Positions_of_padding_do_not_matter()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        Tensor ids = reference.Longs("padded.input_ids");
        Tensor mask = reference.Longs("padded.attention_mask");
        // What generate passes: padding counts as position 0.
        Tensor positions = (mask.cumsum(1) - 1).clamp_min(0);

        Tensor expected = reference.Model.call(new() { InputIds = ids, AttentionMask = mask }).Logits;
        Tensor actual = reference
            .Model.call(
                new()
                {
                    InputIds = ids,
                    AttentionMask = mask,
                    PositionIds = positions,
                }
            )
            .Logits;

        Close.To(expected.mul(mask.unsqueeze(-1)), actual.mul(mask.unsqueeze(-1)), 1e-6);
    }

    [Fact]
    public void Empty_sequences_of_a_packed_row_change_nothing()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        int[] limits = reference.Data.Ints("packed.cu_seq_lens");
        Tensor withEmpty = tensor((int[])[0, 0, .. limits[1..2], .. limits[1..], limits[^1]]);

        Tensor logits = reference
            .Model.call(new() { InputIds = reference.Longs("packed.input_ids"), CuSeqLensQ = withEmpty })
            .Logits;

        Close.To(reference.Floats("packed.logits"), logits);
    }

    [Fact]
    public void A_cache_is_read_only_and_its_rows_can_be_chosen()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        Tensor ids = reference.Longs("full.input_ids");
        BambaCache cache = reference.Model.call(new() { InputIds = ids.narrow(1, 0, 9), UseCache = true }).Cache!;
        Tensor next = ids.narrow(1, 9, 4);
        Tensor expected = reference.Model.call(new() { InputIds = next, Cache = cache }).Logits;

        Close.To(expected, reference.Model.call(new() { InputIds = next, Cache = cache }).Logits, 0);
        Tensor order = tensor((long[])[1, 0, 1]);
        BambaCache chosen = cache.SelectRows(1, 0, 1);
        Tensor actual = reference.Model.call(new() { InputIds = next.index_select(0, order), Cache = chosen }).Logits;
        Close.To(expected.index_select(0, order), actual);
        Assert.Throws<ArgumentOutOfRangeException>(() => cache.SelectRows(2));
        Assert.Null(
            reference
                .Model.call(
                    new()
                    {
                        InputIds = next,
                        Cache = cache,
                        UseCache = false,
                    }
                )
                .Cache
        );
    }

    [Fact]
    public void The_base_model_gives_the_hidden_states_behind_the_logits()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        var inputs = new BambaInputs { InputIds = reference.Longs("full.input_ids"), UseCache = true };

        BambaModelOutputs outputs = reference.Model.Model.call(inputs);

        Close.To(reference.Floats("full.hidden_states.4"), outputs.LastHiddenState);
        Assert.Equal([37, 37], outputs.Cache!.Lengths);
        Assert.Null(outputs.HiddenStates);
    }

    [Fact]
    public void With_16_bits_states_of_the_scan_and_the_loss_stay_float32()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        using BambaForCausalLM narrow = ReferenceCase.LoadModel(
            TestData.Case("base"),
            options: new BambaModuleOptions { Dtype = ScalarType.BFloat16 }
        );
        Tensor ids = reference.Longs("full.input_ids");

        BambaOutputs outputs = narrow.call(
            new()
            {
                InputIds = ids,
                Labels = ids,
                UseCache = true,
            }
        );

        Assert.Equal(ScalarType.BFloat16, outputs.Logits.dtype);
        Assert.Equal(ScalarType.Float32, outputs.Loss!.dtype);
        var mamba = Assert.IsType<MambaLayerCache>(outputs.Cache!.Layers[0]);
        Assert.Equal(ScalarType.BFloat16, mamba.ConvState.dtype);
        Assert.Equal(ScalarType.Float32, mamba.RecurrentState.dtype);
        // 8 bits of a value up to 5, through four layers.
        Close.To(reference.Floats("full.logits"), outputs.Logits, 0.25);
        Close.To(reference.Floats("full.loss").squeeze(), outputs.Loss, 0.02);
    }

    [Fact]
    public void A_model_without_rotation_does_not_see_positions()
    {
        using var scope = NewDisposeScope();
        using BambaForCausalLM model = ReferenceCase.LoadModel(
            TestData.Case("base"),
            config => config with { Rope = config.Rope with { RotaryDim = 0 } }
        );
        Tensor ids = tensor(
            new long[,]
            {
                { 5, 6, 7 },
            }
        );

        Tensor expected = model.call(new() { InputIds = ids }).Logits;
        Close.To(
            expected,
            model
                .call(
                    new()
                    {
                        InputIds = ids,
                        PositionIds = tensor(
                            new long[,]
                            {
                                { 3, 9, 90 },
                            }
                        ),
                    }
                )
                .Logits,
            0
        );
    }
}
