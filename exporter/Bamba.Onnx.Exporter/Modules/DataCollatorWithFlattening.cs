using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>One text to learn.</summary>
/// <param name="InputIds">Its tokens.</param>
/// <param name="Labels">What to learn, as many, −100 for nothing; null for the tokens themselves.</param>
public sealed record TrainingSample(IReadOnlyList<long> InputIds, IReadOnlyList<long>? Labels = null);

/// <summary>
/// Packs samples into one row without padding (Hugging Face's class of this name). Unlike there, <see cref="ReturnSeqIdx"/>
/// is on unless turned off, because without limits of sequences the model refuses positions that start again.
/// </summary>
public sealed record DataCollatorWithFlattening
{
    /// <summary>Whether to return <see cref="BambaInputs.PositionIds"/>.</summary>
    public bool ReturnPositionIds { get; init; } = true;

    /// <summary>The label of each sample's first token, which nothing predicts.</summary>
    public long SeparatorId { get; init; } = -100;

    /// <summary>Whether to return <see cref="BambaInputs.CuSeqLensQ"/>, <see cref="BambaInputs.MaxLengthQ"/> and those of keys.</summary>
    public bool ReturnFlashAttnKwargs { get; init; }

    /// <summary>Whether to return <see cref="BambaInputs.SeqIdx"/>.</summary>
    public bool ReturnSeqIdx { get; init; } = true;

    /// <summary>The position of each sample's first token.</summary>
    public long PositionIdsStart { get; init; }

    /// <summary>Packs samples into a batch. Its tensors are on the CPU and belong to the current dispose scope.</summary>
    /// <exception cref="ArgumentException">There is no token, or labels are missing or of another number.</exception>
    public BambaInputs Collate(IReadOnlyList<TrainingSample> samples)
    {
        ArgumentNullException.ThrowIfNull(samples);
        RequireLabels(samples);
        int[] limits = new int[samples.Count + 1];
        for (int i = 0; i < samples.Count; i++)
        {
            limits[i + 1] = limits[i] + samples[i].InputIds.Count;
        }
        int longest = samples.Max(sample => sample.InputIds.Count);
        return new BambaInputs
        {
            InputIds = Row(samples.SelectMany(sample => sample.InputIds)),
            Labels = Row(samples.SelectMany(Labels)),
            PositionIds = ReturnPositionIds ? Row(samples.SelectMany(Positions)) : null,
            SeqIdx = ReturnSeqIdx
                ? tensor([.. samples.SelectMany((sample, i) => Enumerable.Repeat(i, sample.InputIds.Count))])
                    .unsqueeze(0)
                : null,
            CuSeqLensQ = ReturnFlashAttnKwargs ? tensor(limits) : null,
            CuSeqLensK = ReturnFlashAttnKwargs ? tensor(limits) : null,
            MaxLengthQ = ReturnFlashAttnKwargs ? longest : null,
            MaxLengthK = ReturnFlashAttnKwargs ? longest : null,
            UseCache = false,
        };
    }

    private static void RequireLabels(IReadOnlyList<TrainingSample> samples)
    {
        if (samples.Sum(sample => sample.InputIds.Count) == 0)
        {
            throw new ArgumentException("expected at least one token", nameof(samples));
        }
        for (int i = 0; i < samples.Count; i++)
        {
            TrainingSample sample = samples[i];
            if ((sample.Labels is null) != (samples[0].Labels is null))
            {
                throw new ArgumentException("expected labels for every sample or for none", nameof(samples));
            }
            if (sample.Labels is { } labels && labels.Count != sample.InputIds.Count)
            {
                throw new ArgumentException(
                    $"sample {i}: expected {sample.InputIds.Count} labels, one for each token, found {labels.Count}",
                    nameof(samples)
                );
            }
        }
    }

    private IEnumerable<long> Labels(TrainingSample sample) =>
        (sample.Labels ?? sample.InputIds).Select((label, i) => i == 0 ? SeparatorId : label);

    private IEnumerable<long> Positions(TrainingSample sample) =>
        Enumerable.Range(0, sample.InputIds.Count).Select(i => PositionIdsStart + i);

    private static Tensor Row(IEnumerable<long> values) => tensor([.. values], dtype: ScalarType.Int64).unsqueeze(0);
}
