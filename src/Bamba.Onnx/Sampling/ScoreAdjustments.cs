namespace Bamba.Onnx.Sampling;

/// <summary>The steps that change scores before any token is ranked: bias, penalties, bans. All in float32, one rounding an operation.</summary>
internal sealed class ScoreAdjustments
{
    private readonly TokenBiases biases;
    private readonly float repetition;
    private readonly float frequency;
    private readonly float presence;
    private readonly int ngram;
    private readonly ScratchArray<float> adjusted = new();

    // By token; all zero between calls, so that a call clears what it touched and not the vocabulary.
    private int[] counts = [];

    public ScoreAdjustments(SamplingOptions options)
    {
        biases = (TokenBiases)options.LogitBias;
        repetition = (float)options.RepetitionPenalty;
        frequency = (float)options.FrequencyPenalty;
        presence = (float)options.PresencePenalty;
        ngram = options.NoRepeatNgramSize;
    }

    /// <summary>The name of an option that looks at the tokens so far; null where none does.</summary>
    public string? HistoryOption =>
        repetition != 1 ? nameof(SamplingOptions.RepetitionPenalty)
        : frequency != 0 ? nameof(SamplingOptions.FrequencyPenalty)
        : presence != 0 ? nameof(SamplingOptions.PresencePenalty)
        : ngram > 0 ? nameof(SamplingOptions.NoRepeatNgramSize)
        : null;

    /// <summary>The scores after the adjustments: the same memory where there are none, else a copy that lasts until the next call.</summary>
    public ReadOnlySpan<float> Apply(ReadOnlySpan<float> logits, ReadOnlySpan<int> tokens, int promptLength)
    {
        if (biases.Count == 0 && HistoryOption is null)
        {
            return logits;
        }
        Span<float> scores = adjusted.First(logits.Length);
        logits.CopyTo(scores);
        AddBiases(scores);
        if (HistoryOption is null)
        {
            return scores;
        }
        RefuseStrangers(tokens, scores.Length);
        if (counts.Length < scores.Length)
        {
            counts = new int[scores.Length];
        }
        if (repetition != 1)
        {
            PenalizeRepetition(scores, tokens);
        }
        if (frequency != 0 || presence != 0)
        {
            PenalizeFrequency(scores, tokens[promptLength..]);
        }
        if (ngram > 0)
        {
            BanRepeatedRuns(scores, tokens);
        }
        return scores;
    }

    private static void RefuseStrangers(ReadOnlySpan<int> tokens, int vocabulary)
    {
        foreach (int token in tokens)
        {
            if ((uint)token >= (uint)vocabulary)
            {
                throw new ArgumentException(
                    $"expected token ids from 0 to {vocabulary - 1}, as many as there are scores, found {token}",
                    nameof(tokens)
                );
            }
        }
    }

    private void AddBiases(Span<float> scores)
    {
        if (biases.Count > 0 && biases.Ids[^1] >= scores.Length)
        {
            throw new ArgumentException(
                $"expected {nameof(SamplingOptions.LogitBias)} for token ids from 0 to {scores.Length - 1}, "
                    + $"found {biases.Ids[^1]}"
            );
        }
        for (int i = 0; i < biases.Count; i++)
        {
            scores[biases.Ids[i]] += biases.Biases[i];
        }
    }

    /// <summary>Once a token, however often it occurs.</summary>
    private void PenalizeRepetition(Span<float> scores, ReadOnlySpan<int> tokens)
    {
        foreach (int token in tokens)
        {
            if (counts[token]++ == 0)
            {
                float score = scores[token];
                scores[token] = score < 0 ? score * repetition : score / repetition;
            }
        }
        foreach (int token in tokens)
        {
            counts[token] = 0;
        }
    }

    private void PenalizeFrequency(Span<float> scores, ReadOnlySpan<int> generated)
    {
        foreach (int token in generated)
        {
            counts[token]++;
        }
        foreach (int token in generated)
        {
            if (counts[token] > 0)
            {
                scores[token] -= frequency * counts[token];
                scores[token] -= presence;
                counts[token] = 0;
            }
        }
    }

    /// <summary>Bans what followed each earlier occurrence of the last n - 1 tokens.</summary>
    private void BanRepeatedRuns(Span<float> scores, ReadOnlySpan<int> tokens)
    {
        if (tokens.Length < ngram)
        {
            return;
        }
        ReadOnlySpan<int> ending = tokens[^(ngram - 1)..];
        // What follows an occurrence has to be there: the ending itself is followed by nothing yet.
        ReadOnlySpan<int> followed = tokens[..^1];
        for (int start = 0; start + ending.Length <= followed.Length; start++)
        {
            int found = followed[start..].IndexOf(ending);
            if (found < 0)
            {
                return;
            }
            start += found;
            scores[tokens[start + ending.Length]] = float.NegativeInfinity;
        }
    }
}
