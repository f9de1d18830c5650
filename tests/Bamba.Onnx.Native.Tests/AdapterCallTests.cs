using System.Runtime.InteropServices;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Native.Tests;

public sealed class AdapterCallTests
{
    public static TheoryData<ElementType> Types => [ElementType.Float32, ElementType.Float16, ElementType.BFloat16];

    public static MatrixTheoryData<ElementType, int[]?> PackedCalls =>
        new([ElementType.Float32, ElementType.Float16], [null, [4, 0, 5, 2]]);

    [Theory]
    [MemberData(nameof(Types))]
    public void Optional_inputs_may_be_absent_or_have_empty_names(ElementType type)
    {
        ScanCall call = ScanCall.Padded(type, 5, 5, 2);
        AssertSame(OneNodeGraph.RunOnce(call), OneNodeGraph.RunOnce(call, allNames: true));
    }

    [Theory]
    [MemberData(nameof(PackedCalls))]
    public void Packed_sequences_equal_each_alone_and_leave_other_rows_as_they_were(ElementType type, int[]? rows)
    {
        // The third sequence is empty; the last tokens belong to none.
        int[] bounds = [0, 6, 7, 7, 16];
        ScanCall call = ScanCall.Packed(type, 18, 6, bounds);
        call = rows is null ? call : call.With("state_indices", Operand.Ints(rows));
        ScanResult actual = OneNodeGraph.RunOnce(call);
        float tolerance = type == ElementType.Float32 ? 1e-5f : 2e-3f;
        HashSet<int> untouched = [.. Enumerable.Range(0, 6)];
        for (int s = 0; s < 4; s++)
        {
            int row = rows?[s] ?? s;
            int length = bounds[s + 1] - bounds[s];
            ScanCall alone = call.Without("cu_seqlens")
                .Without("state_indices")
                .With("zxbcdt", tokens => tokens.Slice(1, bounds[s], length))
                .With("seq_lens", Operand.Ints(length))
                .With("past_conv_state", states => states.Slice(0, row, 1))
                .With("past_recurrent_state", states => states.Slice(0, row, 1));
            ScanResult expected = OneNodeGraph.RunOnce(alone);
            AssertClose(expected.Y, actual.Y.Slice(1, bounds[s], length), tolerance);
            AssertClose(expected.ConvState, actual.ConvState.Slice(0, row, 1), tolerance);
            AssertClose(expected.RecurrentState, actual.RecurrentState.Slice(0, row, 1), tolerance);
            if (length > 0)
            {
                untouched.Remove(row);
            }
        }
        Assert.All(actual.Y.Slice(1, 16, 2).Values, value => Assert.Equal(0, value));
        Assert.All(
            untouched,
            row =>
            {
                AssertSame(call.Inputs["past_conv_state"].Slice(0, row, 1), actual.ConvState.Slice(0, row, 1));
                AssertSame(
                    call.Inputs["past_recurrent_state"].Slice(0, row, 1),
                    actual.RecurrentState.Slice(0, row, 1)
                );
            }
        );
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void States_bound_in_place_give_what_states_apart_give(ElementType type)
    {
        ScanCall[] calls =
        [
            ScanCall.Padded(type, 1, 1, 1),
            ScanCall.Padded(type, 5, 5, 2, 0),
            ScanCall.Packed(type, 9, 4, 0, 2, 2, 8),
            ScanCall.Packed(type, 9, 4, 0, 2, 8).With("state_indices", Operand.Ints(3, 0)),
        ];
        foreach (ScanCall call in calls)
        {
            AssertSame(OneNodeGraph.RunOnce(call), OneNodeGraph.RunOnce(call, inPlace: true));
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void A_call_without_tokens_keeps_its_states(ElementType type)
    {
        ScanCall[] calls =
        [
            ScanCall.Padded(type, 0, 0, 0),
            ScanCall.Padded(type, 5),
            ScanCall.Padded(type, 0),
            ScanCall.Packed(type, 0, 2, 0, 0, 0),
            ScanCall.Packed(type, 0, 0, 0),
            ScanCall.Packed(type, 3, 2, 0),
        ];
        foreach (ScanCall call in calls)
        {
            foreach (bool inPlace in (bool[])[false, true])
            {
                ScanResult result = OneNodeGraph.RunOnce(call, inPlace: inPlace);
                Assert.Equal(call.Inputs["zxbcdt"].Shape.SetItem(2, ScanCall.Inner), result.Y.Shape);
                Assert.All(result.Y.Values, value => Assert.Equal(0, value));
                AssertSame(call.Inputs["past_conv_state"], result.ConvState);
                AssertSame(call.Inputs["past_recurrent_state"], result.RecurrentState);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Types))]
    public void What_padding_tokens_hold_changes_nothing(ElementType type)
    {
        (ScanCall Call, int First, int End)[] paddings =
        [
            (ScanCall.Padded(type, 6, 2, 6), 2, 6),
            (ScanCall.Padded(type, 6, 6, 0), 6, 12),
            (ScanCall.Packed(type, 9, 2, 0, 4, 7), 7, 9),
            (ScanCall.Packed(type, 9, 2, 0, 4, 7).With("seq_lens", Operand.Ints(8)), 7, 9),
        ];
        foreach ((ScanCall call, int first, int end) in paddings)
        {
            int channels = (int)call.Inputs["zxbcdt"].Shape[2];
            ScanCall filled = call.With("zxbcdt", tokens => tokens.Filled(first * channels, end * channels, float.NaN));
            ScanResult result = OneNodeGraph.RunOnce(filled);
            Assert.DoesNotContain(float.NaN, result.Y.Values);
            AssertSame(OneNodeGraph.RunOnce(call), result);
        }
    }

    private static void AssertSame(ScanResult expected, ScanResult actual)
    {
        AssertSame(expected.Y, actual.Y);
        AssertSame(expected.ConvState, actual.ConvState);
        AssertSame(expected.RecurrentState, actual.RecurrentState);
    }

    /// <summary>Bit for bit.</summary>
    private static void AssertSame(Operand expected, Operand actual)
    {
        Assert.Equal(expected.Type, actual.Type);
        Assert.Equal(expected.Shape, actual.Shape);
        Assert.Equal(Bits(expected), Bits(actual));

        static int[] Bits(Operand operand) => MemoryMarshal.Cast<float, int>(operand.Values.AsSpan()).ToArray();
    }

    private static void AssertClose(Operand expected, Operand actual, float tolerance)
    {
        Assert.Equal(expected.Type, actual.Type);
        Assert.Equal(expected.Shape, actual.Shape);
        float scale = expected.Values.Select(Math.Abs).Append(1).Max();
        foreach ((float e, float a) in expected.Values.Zip(actual.Values))
        {
            // Written so that NaN fails.
            Assert.True(Math.Abs(e - a) <= tolerance * scale, $"{e} vs {a}");
        }
    }
}
