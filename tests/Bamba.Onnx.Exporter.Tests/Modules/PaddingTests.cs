using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Testing;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>Masked tokens do not exist, wherever they are.</summary>
public sealed class PaddingTests
{
    public static TheoryData<string, string> Layouts =>
        new(TestData.CaseNames.SelectMany(name => new[] { "left", "right", "holes" }.Select(where => (name, where))));

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Every_row_continues_as_it_does_alone(string name, string where)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        (Tensor ids, Tensor mask) = Place(reference, where);
        Tensor expected = reference.Longs("padded.tokens");

        (Tensor tokens, Tensor logits) = Greedy.Decode(reference.Model, ids, mask, (int)expected.shape[1]);

        Assert.Equal(expected.data<long>().ToArray(), tokens.data<long>().ToArray());
        Close.To(reference.Floats("padded.step_logits"), logits);
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Every_real_token_gives_what_it_gives_alone(string name, string where)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        (Tensor ids, Tensor mask) = Place(reference, where);

        BambaOutputs batch = reference.Model.call(
            new BambaInputs
            {
                InputIds = ids,
                AttentionMask = mask,
                UseCache = true,
                OutputHiddenStates = true,
                OutputAttentions = true,
            }
        );

        for (int row = 0; row < ids.shape[0]; row++)
        {
            Tensor real = mask[row].nonzero().flatten();
            BambaOutputs alone = reference.Model.call(
                new BambaInputs
                {
                    InputIds = ids[row].index_select(0, real).unsqueeze(0),
                    UseCache = true,
                    OutputHiddenStates = true,
                    OutputAttentions = true,
                }
            );
            Close.To(alone.Logits[0], batch.Logits[row].index_select(0, real));
            foreach ((Tensor e, Tensor a) in alone.HiddenStates!.Zip(batch.HiddenStates!))
            {
                Close.To(e[0], a[row].index_select(0, real));
            }
            foreach ((Tensor e, Tensor a) in alone.Attentions!.Zip(batch.Attentions!))
            {
                Close.To(e[0], a[row].index_select(1, real).narrow(2, 0, real.shape[0]));
            }
            SameStates(alone.Cache!, batch.Cache!, row);
        }
    }

    [Theory]
    [InlineData("base")]
    [InlineData("two-groups")]
    [InlineData("all-mamba")]
    public void A_padded_row_is_right_in_a_batch_of_one(string name)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        Tensor real = reference.Longs("greedy_short.input_ids");
        Tensor ids = cat([full_like(real, 7), real, full_like(real, 9)], 1);
        Tensor mask = cat([zeros_like(real), ones_like(real), zeros_like(real)], 1);
        Tensor expected = reference.Longs("greedy_short.tokens");

        (Tensor tokens, Tensor logits) = Greedy.Decode(reference.Model, ids, mask, (int)expected.shape[1]);

        Assert.Equal(expected.data<long>().ToArray(), tokens.data<long>().ToArray());
        Close.To(reference.Floats("greedy_short.step_logits"), logits);
    }

    [Theory]
    [InlineData("base")]
    [InlineData("all-attention-but-one")]
    public void Rows_of_unequal_length_continue_with_unequal_numbers_of_tokens(string name)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        Tensor ids = reference.Longs("full.input_ids");
        // Row 0: 5 of 8, then 3 of 6, then 0 of 2; row 1: 7 of 8, then 6 of 6, then 2 of 2.
        Tensor mask = tensor(
            new long[,]
            {
                { 0, 1, 1, 0, 1, 1, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0 },
                { 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1 },
            }
        );
        BambaCache? cache = null;
        var logits = new List<Tensor>();
        foreach ((int from, int to) in new[] { (0, 8), (8, 14), (14, 16) })
        {
            BambaOutputs outputs = reference.Model.call(
                new BambaInputs
                {
                    InputIds = ids.narrow(1, from, to - from),
                    AttentionMask = mask.narrow(1, 0, to),
                    Cache = cache,
                    UseCache = true,
                }
            );
            logits.Add(outputs.Logits);
            cache = outputs.Cache;
        }

        Tensor all = cat([.. logits], 1);
        for (int row = 0; row < 2; row++)
        {
            Tensor real = mask[row].nonzero().flatten();
            BambaOutputs alone = reference.Model.call(
                new BambaInputs { InputIds = ids[row].index_select(0, real).unsqueeze(0), UseCache = true }
            );
            Close.To(alone.Logits[0], all[row].index_select(0, real));
            SameStates(alone.Cache!, cache!, row);
        }
    }

    [Fact]
    public void A_row_without_any_token_changes_nothing()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        Tensor ids = reference.Longs("full.input_ids").narrow(1, 0, 6);
        BambaOutputs first = reference.Model.call(new BambaInputs { InputIds = ids, UseCache = true });
        Tensor mask = cat(
            [
                ones_like(ids),
                tensor(
                    new long[,]
                    {
                        { 0, 0 },
                        { 1, 1 },
                    }
                ),
            ],
            1
        );

        BambaOutputs second = reference.Model.call(
            new BambaInputs
            {
                InputIds = ids.narrow(1, 0, 2),
                AttentionMask = mask,
                Cache = first.Cache,
            }
        );

        Assert.Equal([6, 8], second.Cache!.Lengths);
        Assert.True(second.Logits.isfinite().all().item<bool>());
        SameStates(first.Cache!.SelectRows(0), second.Cache, 0, tolerance: 0);
    }

    [Fact]
    public void A_fresh_batch_without_any_token_has_empty_states()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        Tensor ids = reference.Longs("full.input_ids").narrow(1, 0, 6);

        BambaOutputs none = reference.Model.call(
            new BambaInputs
            {
                InputIds = ids,
                AttentionMask = zeros_like(ids),
                UseCache = true,
            }
        );
        Tensor continued = reference.Model.call(new BambaInputs { InputIds = ids, Cache = none.Cache }).Logits;

        Assert.Equal([0, 0], none.Cache!.Lengths);
        Assert.True(none.Logits.isfinite().all().item<bool>());
        Close.To(reference.Floats("full.logits").narrow(1, 0, 6), continued);
    }

    /// <summary>The rows of the padded data, real tokens moved to the right, to the left or apart.</summary>
    private static (Tensor Ids, Tensor Mask) Place(ReferenceCase reference, string where)
    {
        Tensor ids = reference.Longs("padded.input_ids");
        Tensor mask = reference.Longs("padded.attention_mask");
        if (where == "left")
        {
            return (ids, mask);
        }
        (long rows, long width) = (ids.shape[0], ids.shape[1] + (where == "holes" ? 5 : 0));
        // What lies under the padding must not matter: not the usual padding token.
        Tensor placedIds = full([rows, width], 3, ScalarType.Int64);
        Tensor placedMask = zeros([rows, width], ScalarType.Int64);
        var random = new Random(11);
        for (int row = 0; row < rows; row++)
        {
            long[] real = ids[row].masked_select(mask[row].to_type(ScalarType.Bool)).data<long>().ToArray();
            int[] columns = [.. Enumerable.Range(0, (int)width)];
            if (where == "holes")
            {
                random.Shuffle(columns);
                Array.Sort(columns, 0, real.Length);
            }
            for (int i = 0; i < real.Length; i++)
            {
                placedIds[row, columns[i]] = real[i];
                placedMask[row, columns[i]] = 1;
            }
        }
        return (placedIds, placedMask);
    }

    private static void SameStates(BambaCache alone, BambaCache batch, int row, double tolerance = Close.Tolerance)
    {
        Assert.Equal(alone.Lengths[0], batch.Lengths[row]);
        foreach ((LayerCache expected, LayerCache actual) in alone.Layers.Zip(batch.Layers))
        {
            foreach ((Tensor e, Tensor a) in expected.Tensors.Zip(actual.Tensors))
            {
                Tensor ofRow = a[row];
                // Keys and values of a longer batch go on behind the row.
                Close.To(e[0], expected is AttentionLayerCache ? ofRow.narrow(1, 0, e.shape[2]) : ofRow, tolerance);
            }
        }
    }
}
