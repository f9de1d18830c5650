using Bamba.Onnx.Exporter.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

public sealed class DataCollatorWithFlatteningTests
{
    private static readonly TrainingSample[] samples =
    [
        new([10, 11, 12]),
        new([20, 21, 22, 23, 24, 25]),
        new([30, 31, 32, 33, 34, 35, 36]),
    ];

    [Fact]
    public void Samples_are_laid_end_to_end()
    {
        using var scope = NewDisposeScope();
        BambaInputs batch = new DataCollatorWithFlattening { ReturnFlashAttnKwargs = true }.Collate(samples);

        Is([10, 11, 12, 20, 21, 22, 23, 24, 25, 30, 31, 32, 33, 34, 35, 36], batch.InputIds, ScalarType.Int64);
        Is([-100, 11, 12, -100, 21, 22, 23, 24, 25, -100, 31, 32, 33, 34, 35, 36], batch.Labels, ScalarType.Int64);
        Is([0, 1, 2, 0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6], batch.PositionIds, ScalarType.Int64);
        Is([0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2], batch.SeqIdx, ScalarType.Int32);
        Assert.Equal([0, 3, 9, 16], batch.CuSeqLensQ!.data<int>().ToArray());
        Assert.Equal([0, 3, 9, 16], batch.CuSeqLensK!.data<int>().ToArray());
        Assert.Equal((7, 7), (batch.MaxLengthQ, batch.MaxLengthK));
        Assert.Null(batch.AttentionMask);
        Assert.False(batch.UseCache);
    }

    [Fact]
    public void Every_option_is_honoured()
    {
        using var scope = NewDisposeScope();
        TrainingSample[] labelled = [new([10, 11, 12], [-100, 5, 6]), new([20, 21], [7, 8])];
        var collator = new DataCollatorWithFlattening
        {
            ReturnPositionIds = false,
            ReturnSeqIdx = false,
            SeparatorId = -1,
        };

        BambaInputs bare = collator.Collate(labelled);
        BambaInputs started = new DataCollatorWithFlattening { PositionIdsStart = 2 }.Collate(labelled);

        Is([-1, 5, 6, -1, 8], bare.Labels, ScalarType.Int64);
        Assert.Null(bare.PositionIds);
        Assert.Null(bare.SeqIdx);
        Assert.Null(bare.CuSeqLensQ ?? bare.CuSeqLensK);
        Assert.Null(bare.MaxLengthQ ?? bare.MaxLengthK);
        Is([2, 3, 4, 2, 3], started.PositionIds, ScalarType.Int64);
    }

    [Fact]
    public void A_batch_goes_straight_into_the_model()
    {
        using ReferenceCase reference = ReferenceCase.Open("base");
        BambaInputs batch = new DataCollatorWithFlattening { ReturnFlashAttnKwargs = true }.Collate(samples);

        Tensor logits = reference.Model.call(batch).Logits;

        Tensor last = reference
            .Model.call(new() { InputIds = tensor((long[])[.. samples[2].InputIds]).unsqueeze(0) })
            .Logits;
        Close.To(last, logits.narrow(1, 9, 7));
    }

    [Fact]
    public void Malformed_samples_are_refused()
    {
        var collator = new DataCollatorWithFlattening();

        Assert.Throws<ArgumentException>(() => collator.Collate([]));
        Assert.Throws<ArgumentException>(() => collator.Collate([new([])]));
        Assert.Throws<ArgumentException>(() => collator.Collate([new([1]), new([2], [2])]));
        var error = Assert.Throws<ArgumentException>(() => collator.Collate([new([1, 2], [1])]));
        Assert.Contains("sample 0: expected 2 labels", error.Message, StringComparison.Ordinal);
    }

    private static void Is(long[] expected, Tensor? actual, ScalarType type)
    {
        Assert.NotNull(actual);
        Assert.Equal(type, actual.dtype);
        Assert.Equal([1, expected.Length], actual.shape);
        Assert.Equal(expected, actual.to_type(ScalarType.Int64).data<long>().ToArray());
    }
}
