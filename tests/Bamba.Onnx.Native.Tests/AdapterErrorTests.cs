using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;
using Microsoft.ML.OnnxRuntime;

namespace Bamba.Onnx.Native.Tests;

/// <summary>The Errors section of custom-ops/README.md, rule by rule.</summary>
public sealed class AdapterErrorTests
{
    private static readonly ScanCall Padded = ScanCall.Padded(ElementType.Float32, 5, 5, 2);

    private static readonly ScanCall Packed = ScanCall
        .Packed(ElementType.Float32, 9, 4, 0, 2, 2, 8)
        .With("state_indices", Operand.Ints(3, 0, 1));

    public static TheoryData<string> Inputs => [.. Mamba2ChunkScanOp.Inputs];

    public static TheoryData<string> RequiredInputs =>
        [.. Mamba2ChunkScanOp.Inputs.Take(Mamba2ChunkScanOp.PaddedInputCount)];

    public static MatrixTheoryData<string, long> NonPositiveSizes =>
        new(
            [
                Mamba2ChunkScanOp.NumHeads,
                Mamba2ChunkScanOp.HeadDim,
                Mamba2ChunkScanOp.StateSize,
                Mamba2ChunkScanOp.NumGroups,
                Mamba2ChunkScanOp.ChunkSize,
                Mamba2ChunkScanOp.NormGroupSize,
            ],
            [0, -3]
        );

    [Theory]
    [MemberData(nameof(Inputs))]
    public void A_wrong_rank_is_refused(string input)
    {
        Operand right = Packed.Inputs[input];
        int rank = right.Shape.Length;
        foreach (Operand wrong in (Operand[])[right.Resized([.. right.Shape, 1]), right.Resized(right.Shape[..^1])])
        {
            AssertRefused(
                Packed.With(input, wrong),
                $"Mamba2ChunkScan: {input}: expected rank {rank}, found rank {wrong.Shape.Length}"
            );
        }
    }

    [Theory]
    [InlineData("zxbcdt", 0, "seq_lens: axis 0 (B): expected 3, found 2")]
    [InlineData("zxbcdt", 2, "zxbcdt: axis 2 (2 E + 2 G N + H): expected 34, found 35")]
    [InlineData("conv_weight", 0, "conv_weight: axis 0 (Cd): expected 24, found 25")]
    [InlineData("conv_weight", 1, "past_conv_state: axis 2 (K - 1): expected 4, found 3")]
    [InlineData("conv_bias", 0, "conv_bias: axis 0 (Cd): expected 24, found 25")]
    [InlineData("A_log", 0, "A_log: axis 0 (H): expected 2, found 3")]
    [InlineData("D", 0, "D: axis 0 (H): expected 2, found 3")]
    [InlineData("dt_bias", 0, "dt_bias: axis 0 (H): expected 2, found 3")]
    [InlineData("norm_weight", 0, "norm_weight: axis 0 (E): expected 8, found 9")]
    [InlineData("past_conv_state", 0, "past_conv_state: axis 0 (R): expected 2, found 3")]
    [InlineData("past_conv_state", 1, "past_conv_state: axis 1 (Cd): expected 24, found 25")]
    [InlineData("past_conv_state", 2, "past_conv_state: axis 2 (K - 1): expected 3, found 4")]
    [InlineData("past_recurrent_state", 0, "past_recurrent_state: axis 0 (R): expected 2, found 3")]
    [InlineData("past_recurrent_state", 1, "past_recurrent_state: axis 1 (H): expected 2, found 3")]
    [InlineData("past_recurrent_state", 2, "past_recurrent_state: axis 2 (P): expected 4, found 5")]
    [InlineData("past_recurrent_state", 3, "past_recurrent_state: axis 3 (N): expected 8, found 9")]
    [InlineData("seq_lens", 0, "seq_lens: axis 0 (B): expected 2, found 3")]
    public void A_size_one_too_large_is_refused(string input, int axis, string complaint) =>
        AssertRefused(Padded.With(input, right => right.Resized(axis, right.Shape[axis] + 1)), complaint);

    [Theory]
    [InlineData("zxbcdt", 0, 2, "zxbcdt: axis 0 (B): expected 1 in the packed form, found 2")]
    [InlineData("zxbcdt", 0, 0, "zxbcdt: axis 0 (B): expected 1 in the packed form, found 0")]
    [InlineData("conv_weight", 1, 1, "conv_weight: axis 1 (K): expected at least 2, found 1")]
    [InlineData("conv_weight", 1, 0, "conv_weight: axis 1 (K): expected at least 2, found 0")]
    [InlineData("cu_seqlens", 0, 0, "cu_seqlens: axis 0 (S + 1): expected at least 1, found 0")]
    [InlineData("cu_seqlens", 0, 5, "state_indices: axis 0 (S): expected 4, found 3")]
    [InlineData("state_indices", 0, 4, "state_indices: axis 0 (S): expected 3, found 4")]
    [InlineData("past_conv_state", 0, 5, "past_recurrent_state: axis 0 (R): expected 5, found 4")]
    [InlineData("past_recurrent_state", 0, 5, "past_recurrent_state: axis 0 (R): expected 4, found 5")]
    public void A_size_that_the_packed_form_does_not_allow_is_refused(
        string input,
        int axis,
        long size,
        string complaint
    )
    {
        ScanCall call = Packed.With(input, right => right.Resized(axis, size));
        // Lengths that fit B, so that it is B itself that is refused.
        AssertRefused(call.With("seq_lens", right => right.Resized(0, call.Inputs["zxbcdt"].Shape[0])), complaint);
    }

    [Fact]
    public void Packed_sequences_without_a_row_of_the_states_are_refused() =>
        AssertRefused(
            ScanCall.Packed(ElementType.Float32, 9, 2, 0, 2, 2, 8),
            "past_conv_state: axis 0 (R): expected a row for each of 3 sequences, found 2"
        );

    [Fact]
    public void State_rows_without_the_packed_form_are_refused() =>
        AssertRefused(
            Padded.With("state_indices", Operand.Ints(0, 1)),
            "state_indices: expected none without cu_seqlens, found a tensor"
        );

    [Theory]
    [MemberData(nameof(Inputs))]
    public void A_wrong_element_type_is_refused(string input) =>
        AssertRefused(Packed.With(input, right => right with { Type = ElementType.Int64 }), "int64", input);

    [Theory]
    [InlineData("conv_weight")]
    [InlineData("conv_bias")]
    [InlineData("A_log")]
    [InlineData("D")]
    [InlineData("dt_bias")]
    [InlineData("norm_weight")]
    [InlineData("past_recurrent_state")]
    public void Weights_and_the_recurrent_state_of_16_bits_are_refused(string input) =>
        AssertRefused(Packed.With(input, right => right with { Type = ElementType.Float16 }), "float16", input);

    [Theory]
    [InlineData(ElementType.Float32, ElementType.Float16)]
    [InlineData(ElementType.Float32, ElementType.BFloat16)]
    [InlineData(ElementType.Float16, ElementType.Float32)]
    [InlineData(ElementType.Float16, ElementType.BFloat16)]
    [InlineData(ElementType.BFloat16, ElementType.Float32)]
    [InlineData(ElementType.BFloat16, ElementType.Float16)]
    public void Tokens_and_conv_state_of_two_types_are_refused(ElementType tokens, ElementType state) =>
        AssertRefused(
            ScanCall.Padded(tokens, 5, 5, 2).With("past_conv_state", right => right with { Type = state }),
            "Mamba2ChunkScan"
        );

    [Theory]
    [MemberData(nameof(RequiredInputs))]
    public void A_required_input_left_out_is_refused(string input) =>
        AssertRefused(Packed.Without(input), "Mamba2ChunkScan");

    [Fact]
    public void Required_inputs_missing_at_the_end_are_refused() =>
        AssertRefused(Padded.Without("seq_lens").Without("past_recurrent_state"), "Mamba2ChunkScan");

    [Theory]
    [InlineData(Mamba2ChunkScanOp.NumHeads)]
    [InlineData(Mamba2ChunkScanOp.HeadDim)]
    [InlineData(Mamba2ChunkScanOp.StateSize)]
    [InlineData(Mamba2ChunkScanOp.NumGroups)]
    public void A_missing_attribute_is_refused(string attribute) =>
        AssertRefused(Padded.Without(attribute), $"attribute {attribute}: expected a positive integer, found none");

    [Theory]
    [MemberData(nameof(NonPositiveSizes))]
    public void An_attribute_that_is_not_positive_is_refused(string attribute, long value) =>
        AssertRefused(
            Padded.With(NodeArgument.Int(attribute, value)),
            $"attribute {attribute}: expected a positive integer, found {value}"
        );

    [Theory]
    [InlineData(Mamba2ChunkScanOp.NumHeads, "an integer")]
    [InlineData(Mamba2ChunkScanOp.StateSize, "an integer")]
    [InlineData(Mamba2ChunkScanOp.NormGroupSize, "an integer")]
    [InlineData(Mamba2ChunkScanOp.Activation, "a string")]
    public void A_float_for_an_attribute_of_another_type_is_refused(string attribute, string expected) =>
        AssertRefused(
            Padded.With(NodeArgument.Float(attribute, 2)),
            $"attribute {attribute}: expected {expected}, found a float"
        );

    [Theory]
    [InlineData(Mamba2ChunkScanOp.Epsilon)]
    [InlineData(Mamba2ChunkScanOp.DtMin)]
    [InlineData(Mamba2ChunkScanOp.DtMax)]
    public void An_integer_or_a_string_for_a_float_is_refused(string attribute)
    {
        string complaint = $"attribute {attribute}: expected a float, found";
        AssertRefused(Padded.With(NodeArgument.Int(attribute, 1)), $"{complaint} an integer");
        AssertRefused(Padded.With(NodeArgument.Text(attribute, "1")), $"{complaint} a string");
    }

    [Fact]
    public void Heads_that_groups_do_not_divide_are_refused() =>
        AssertRefused(
            Padded.With(NodeArgument.Int(Mamba2ChunkScanOp.NumGroups, 3)),
            "expected num_heads to be a multiple of n_groups, found 2 and 3"
        );

    [Fact]
    public void Channels_that_norm_groups_do_not_divide_are_refused() =>
        AssertRefused(
            Padded.With(NodeArgument.Int(Mamba2ChunkScanOp.NormGroupSize, 3)),
            "expected num_heads * head_dim to be a multiple of norm_group_size, found 8 and 3"
        );

    [Theory]
    [InlineData("gelu")]
    [InlineData("SiLU")]
    [InlineData("")]
    public void An_activation_other_than_silu_is_refused(string activation) =>
        AssertRefused(
            Padded.With(NodeArgument.Text(Mamba2ChunkScanOp.Activation, activation)),
            $"attribute activation: expected \"silu\", found \"{activation}\""
        );

    [Theory]
    [InlineData(0.5f, 0.25f)]
    [InlineData(0.5f, float.NaN)]
    [InlineData(float.NaN, 0.5f)]
    public void A_lower_limit_of_dt_above_the_upper_one_is_refused(float low, float high) =>
        AssertRefused(
            Padded
                .With(NodeArgument.Float(Mamba2ChunkScanOp.DtMin, low))
                .With(NodeArgument.Float(Mamba2ChunkScanOp.DtMax, high)),
            "expected dt_min to be at most dt_max, found"
        );

    [Theory]
    [InlineData(new[] { -1, 2 }, "seq_lens[0]: expected 0 to 5, found -1")]
    [InlineData(new[] { 5, 6 }, "seq_lens[1]: expected 0 to 5, found 6")]
    [InlineData(new[] { 5, int.MinValue }, "seq_lens[1]: expected 0 to 5, found -2147483648")]
    public void Lengths_outside_the_row_are_refused(int[] lengths, string complaint) =>
        AssertRefused(Padded.With("seq_lens", Operand.Ints(lengths)), complaint);

    [Theory]
    [InlineData(new[] { 1, 2, 2, 8 }, "cu_seqlens[0]: expected 0 to 0, found 1")]
    [InlineData(new[] { -1, 2, 2, 8 }, "cu_seqlens[0]: expected 0 to 0, found -1")]
    [InlineData(new[] { 0, 5, 4, 8 }, "cu_seqlens[2]: expected 5 to 9, found 4")]
    [InlineData(new[] { 0, -2, 4, 8 }, "cu_seqlens[1]: expected 0 to 9, found -2")]
    [InlineData(new[] { 0, 2, 2, 10 }, "cu_seqlens[3]: expected 2 to 9, found 10")]
    public void Bounds_that_start_late_fall_or_pass_the_row_are_refused(int[] bounds, string complaint) =>
        AssertRefused(Packed.With("cu_seqlens", Operand.Ints(bounds)), complaint);

    [Fact]
    public void Bounds_past_the_real_tokens_of_the_row_are_refused() =>
        AssertRefused(Packed.With("seq_lens", Operand.Ints(7)), "cu_seqlens[3]: expected 2 to 7, found 8");

    [Theory]
    [InlineData(new[] { 3, 4, 1 }, "state_indices[1]: expected 0 to 3, found 4")]
    [InlineData(new[] { -1, 0, 1 }, "state_indices[0]: expected 0 to 3, found -1")]
    [InlineData(new[] { 3, 0, 3 }, "state_indices[2]: expected a row of its own, found 3 a second time")]
    public void State_rows_outside_the_states_or_named_twice_are_refused(int[] rows, string complaint) =>
        AssertRefused(Packed.With("state_indices", Operand.Ints(rows)), complaint);

    private static void AssertRefused(ScanCall call, params string[] fragments)
    {
        OnnxRuntimeException refusal = Assert.Throws<OnnxRuntimeException>(() => OneNodeGraph.RunOnce(call));
        Assert.All(fragments, fragment => Assert.Contains(fragment, refusal.Message, StringComparison.Ordinal));
    }
}
