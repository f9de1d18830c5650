using Bamba.Onnx.Exporter.Modules;
using Bamba.Onnx.Testing;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>The modules compute what Hugging Face computes, for every architecture variant.</summary>
public sealed class ReferenceTests
{
    public static TheoryData<string> Cases => [.. TestData.CaseNames];

    public static TheoryData<string, string> Prompts => WithPrompts(TestData.CaseNames);

    // Hugging Face cannot make a cache for a model without attention, so there is nothing to compare with.
    public static TheoryData<string, string> PromptsWithStates =>
        WithPrompts(TestData.CaseNames.Where(name => name != "all-mamba"));

    [Theory]
    [MemberData(nameof(Cases))]
    public void Hidden_states_logits_and_loss_of_one_forward_agree(string name)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        Tensor ids = reference.Longs("full.input_ids");

        BambaOutputs outputs = reference.Model.call(
            new BambaInputs
            {
                InputIds = ids,
                Labels = ids,
                OutputHiddenStates = true,
            }
        );

        Assert.Equal(reference.Model.Config.Layers.Length + 1, outputs.HiddenStates!.Count);
        for (int i = 0; i < outputs.HiddenStates.Count; i++)
        {
            string key = $"full.hidden_states.{i}";
            Close.To(reference.Floats(key), outputs.HiddenStates[i], what: key);
        }
        Assert.Same(outputs.LastHiddenState, outputs.HiddenStates[^1]);
        Close.To(reference.Floats("full.logits"), outputs.Logits);
        Close.To(reference.Floats("full.loss").squeeze(), outputs.Loss!);
        Assert.Null(outputs.Cache);
    }

    [Theory]
    [MemberData(nameof(PromptsWithStates))]
    public void States_after_a_prompt_agree(string name, string prompt)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);

        BambaOutputs outputs = reference.Model.call(
            new BambaInputs { InputIds = reference.Longs($"greedy_{prompt}.input_ids"), UseCache = true }
        );

        for (int i = 0; i < outputs.Cache!.Layers.Length; i++)
        {
            string key = $"greedy_{prompt}.after_prompt.{i}";
            if (outputs.Cache.Layers[i] is MambaLayerCache mamba)
            {
                Tensor window = reference.Floats($"{key}.conv_states");
                // Hugging Face keeps one column more than anything reads.
                Close.To(window.narrow(2, 1, window.shape[2] - 1), mamba.ConvState, what: $"{key}.conv_states");
                Close.To(
                    reference.Floats($"{key}.recurrent_states"),
                    mamba.RecurrentState,
                    what: $"{key}.recurrent_states"
                );
            }
            else
            {
                var attention = (AttentionLayerCache)outputs.Cache.Layers[i];
                Close.To(reference.Floats($"{key}.keys"), attention.Keys, what: $"{key}.keys");
                Close.To(reference.Floats($"{key}.values"), attention.Values, what: $"{key}.values");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Prompts))]
    public void Greedy_decoding_with_a_cache_agrees(string name, string prompt)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        string key = $"greedy_{prompt}";
        Tensor expected = reference.Longs($"{key}.tokens");

        (Tensor tokens, Tensor logits) = Greedy.Decode(
            reference.Model,
            reference.Longs($"{key}.input_ids"),
            null,
            (int)expected.shape[1]
        );

        Assert.Equal(expected.data<long>().ToArray(), tokens.data<long>().ToArray());
        Close.To(reference.Floats($"{key}.step_logits"), logits);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Packed_sequences_agree_by_index_and_by_lengths(string name)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        var inputs = new BambaInputs { InputIds = reference.Longs("packed.input_ids") };
        Tensor positions = reference.Longs("packed.position_ids");
        Tensor index = reference.Ints("packed.seq_idx");
        Tensor limits = reference.Ints("packed.cu_seq_lens");
        Tensor expected = reference.Floats("packed.logits");

        Close.To(expected, reference.Model.call(inputs with { SeqIdx = index }).Logits, what: "by index");
        Close.To(expected, reference.Model.call(inputs with { CuSeqLensQ = limits }).Logits, what: "by lengths");
        BambaInputs all = inputs with
        {
            PositionIds = positions,
            SeqIdx = index,
            CuSeqLensQ = limits,
            CuSeqLensK = limits,
        };
        Close.To(expected, reference.Model.call(all).Logits, what: "by everything");
        // Without limits the sequences see each other: the test above can fail.
        Assert.True(Close.Distance(expected, reference.Model.call(inputs).Logits) > 100 * Close.Tolerance);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_prompt_cut_anywhere_and_continued_agrees(string name)
    {
        using ReferenceCase reference = ReferenceCase.Open(name);
        Tensor ids = reference.Longs("greedy_long.input_ids");
        BambaOutputs whole = reference.Model.call(new BambaInputs { InputIds = ids, UseCache = true });
        long given = reference.Data.Longs("continued.cut")[0];
        long length = ids.shape[1];
        long step = Math.Max(1, length / 40);

        foreach (
            long cut in Enumerable
                .Range(1, (int)length - 1)
                .Select(i => (long)i)
                .Where(i => i % step == 0 || i == given)
        )
        {
            using var scope = NewDisposeScope();
            BambaOutputs head = reference.Model.call(
                new BambaInputs { InputIds = ids.narrow(1, 0, cut), UseCache = true }
            );
            BambaOutputs rest = reference.Model.call(
                new BambaInputs { InputIds = ids.narrow(1, cut, length - cut), Cache = head.Cache }
            );
            Close.To(whole.Logits.narrow(1, cut, length - cut), rest.Logits, what: $"cut at {cut}");
            Assert.Equal(whole.Cache!.Lengths, rest.Cache!.Lengths);
            foreach ((LayerCache expected, LayerCache actual) in whole.Cache.Layers.Zip(rest.Cache.Layers))
            {
                foreach ((Tensor e, Tensor a) in expected.Tensors.Zip(actual.Tensors))
                {
                    Close.To(e, a, what: $"state, cut at {cut}");
                }
            }
        }
    }

    private static TheoryData<string, string> WithPrompts(IEnumerable<string> cases) =>
        new(cases.SelectMany(name => new[] { "long", "short", "one" }.Select(prompt => (name, prompt))));
}
