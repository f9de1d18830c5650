using Bamba.Onnx.Exporter.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>What Hugging Face accepts in silence and computes wrongly, or fails at far from the cause, is an error here.</summary>
public sealed class InputErrorTests
{
    private static Tensor Ids =>
        tensor(
            new long[,]
            {
                { 5, 6, 7, 8, 9 },
            }
        );

    [Fact]
    public void Either_ids_or_embeddings_are_needed()
    {
        Refused(new BambaInputs(), "either InputIds or InputsEmbeds");
        Refused(new BambaInputs { InputIds = Ids, InputsEmbeds = zeros(1, 5, 64) }, "either InputIds or InputsEmbeds");
        Refused(new BambaInputs { InputIds = Ids.squeeze(0) }, "InputIds: expected 2 axes, found [5]");
        Refused(new BambaInputs { InputIds = Ids.@float() }, "InputIds: expected int64 or int32, found Float32");
        Refused(new BambaInputs { InputIds = Ids + 312 }, "InputIds: expected tokens from 0 to 319, found 320");
        Refused(new BambaInputs { InputIds = Ids - 6 }, "InputIds: expected tokens from 0 to 319, found -1");
        Refused(new BambaInputs { InputIds = Ids.narrow(1, 0, 0) }, "at least one token, found [1, 0]");
        Refused(
            new BambaInputs { InputsEmbeds = zeros(1, 5, 63) },
            "InputsEmbeds: expected [1, 5, 64], found [1, 5, 63]"
        );
    }

    [Fact]
    public void A_mask_has_a_column_for_every_token_and_agrees_with_the_cache()
    {
        Refused(
            new BambaInputs { InputIds = Ids, AttentionMask = ones(1, 4) },
            "AttentionMask: expected [1, 5], found [1, 4]"
        );
        Refused(new BambaInputs { InputIds = Ids, AttentionMask = ones(2, 5) }, "found [2, 5]");
        Refused(new BambaInputs { InputIds = Ids, AttentionMask = ones(1, 6) }, "found [1, 6]");
        Refused(new BambaInputs { InputIds = Ids, AttentionMask = ones(1, 1, 5, 5) }, "AttentionMask: expected 2 axes");
        Refused(
            reference => new BambaInputs
            {
                InputIds = Ids,
                Cache = Cached(reference),
                AttentionMask = ones(1, 5),
            },
            "expected 5 real tokens in the earlier columns as in the cache, found 0"
        );
    }

    [Fact]
    public void A_cache_belongs_to_as_many_rows()
    {
        Refused(
            reference => new BambaInputs { InputIds = cat([Ids, Ids], 0), Cache = Cached(reference) },
            "Cache: expected 2 rows of 4 layers, found 1 of 4"
        );
    }

    [Fact]
    public void Packed_sequences_come_in_one_row_without_mask_and_cache()
    {
        Tensor index = Sequences(0, 0, 1, 1, 1);
        Refused(
            new BambaInputs { InputIds = cat([Ids, Ids], 0), SeqIdx = index },
            "packed sequences: expected one row, found 2"
        );
        Refused(
            new BambaInputs
            {
                InputIds = Ids,
                SeqIdx = index,
                AttentionMask = ones(1, 5),
            },
            "packed sequences: expected no AttentionMask"
        );
        Refused(
            new BambaInputs
            {
                InputIds = Ids,
                SeqIdx = index,
                UseCache = true,
            },
            "packed sequences: expected neither Cache nor UseCache"
        );
        Refused(
            reference => new BambaInputs
            {
                InputIds = Ids,
                SeqIdx = index,
                Cache = Cached(reference),
            },
            "packed sequences: expected neither Cache nor UseCache"
        );
    }

    [Fact]
    public void Positions_that_start_again_need_limits_of_sequences()
    {
        Tensor positions = tensor(
            new long[,]
            {
                { 0, 1, 0, 1, 2 },
            }
        );
        Refused(new BambaInputs { InputIds = Ids, PositionIds = positions }, "packed sequences need SeqIdx");
        Refused(
            new BambaInputs
            {
                InputIds = Ids,
                PositionIds = positions,
                SeqIdx = Sequences(0, 0, 0, 1, 1),
            },
            "PositionIds: expected positions that increase in each sequence"
        );
        Refused(
            new BambaInputs { InputIds = Ids, PositionIds = positions.narrow(1, 0, 4) },
            "PositionIds: expected [1, 5], found [1, 4]"
        );
    }

    [Fact]
    public void Limits_of_sequences_are_well_formed_and_agree()
    {
        Refused(new BambaInputs { InputIds = Ids, SeqIdx = Sequences(0, 1, 0, 1, 1) }, "found 0 after 1");
        Refused(new BambaInputs { InputIds = Ids, SeqIdx = Sequences(-1, 0, 0, 1, 1) }, "found -1 at token 0");
        Refused(new BambaInputs { InputIds = Ids, SeqIdx = Sequences(0, 1) }, "SeqIdx: expected [1, 5]");
        Refused(
            new BambaInputs { InputIds = Ids, CuSeqLensQ = tensor((int[])[0, 3, 4]) },
            "to the 5 tokens, found 0, 3, 4"
        );
        Refused(new BambaInputs { InputIds = Ids, CuSeqLensQ = tensor((int[])[0, 3, 2, 5]) }, "found 0, 3, 2, 5");
        Refused(
            new BambaInputs
            {
                InputIds = Ids,
                SeqIdx = Sequences(0, 0, 1, 1, 1),
                CuSeqLensQ = tensor((int[])[0, 3, 5]),
            },
            "CuSeqLensQ: expected sequences that start at 0, 2 as in SeqIdx, found 0, 3"
        );
        Refused(
            new BambaInputs
            {
                InputIds = Ids,
                CuSeqLensQ = tensor((int[])[0, 2, 5]),
                CuSeqLensK = tensor((int[])[0, 3, 5]),
            },
            "CuSeqLensK: expected sequences that start at 0, 2 as in CuSeqLensQ"
        );
        Refused(
            new BambaInputs
            {
                InputIds = Ids,
                CuSeqLensQ = tensor((int[])[0, 2, 5]),
                MaxLengthQ = 2,
            },
            "MaxLengthQ: expected at least the longest sequence, 3, found 2"
        );
        Refused(new BambaInputs { InputIds = Ids, MaxLengthK = 5 }, "expected with SeqIdx or CuSeqLensQ only");
    }

    [Fact]
    public void Labels_need_all_logits_and_the_shape_of_the_ids()
    {
        Refused(
            new BambaInputs
            {
                InputIds = Ids,
                Labels = Ids,
                LogitsToKeep = LogitsToKeep.Last(1),
            },
            "LogitsToKeep: expected all with Labels"
        );
        Refused(
            new BambaInputs { InputIds = Ids, ShiftLabels = Ids.narrow(1, 0, 4) },
            "ShiftLabels: expected [1, 5], found [1, 4]"
        );
    }

    /// <summary>Which sequence each token of one row is of, [1, tokens] int32.</summary>
    private static Tensor Sequences(params int[] indices) => tensor(indices).unsqueeze(0);

    private static BambaCache Cached(ReferenceCase reference) =>
        reference.Model.call(new BambaInputs { InputIds = Ids, UseCache = true }).Cache!;

    private static void Refused(BambaInputs inputs, string message) => Refused(_ => inputs, message);

    private static void Refused(Func<ReferenceCase, BambaInputs> inputs, string message)
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        BambaInputs given = inputs(reference);
        var error = Assert.Throws<ArgumentException>(() => reference.Model.call(given));
        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }
}
