using System.Collections.Immutable;
using Bamba.Onnx.Devices.Cuda;
using Bamba.Onnx.Sampling;
using Bamba.Onnx.Sessions;

namespace Bamba.Onnx.Generation;

/// <summary>One row of a generation: chooses its tokens, turns them into text, and knows when it ends.</summary>
internal sealed class RowGenerator
{
    private readonly BambaSession session;
    private readonly int row;
    private readonly int promptLength;
    private readonly int maxNewTokens;
    private readonly ImmutableArray<int> eosTokenIds;
    private readonly int? alternatives;
    private readonly SamplingOptions sampling;
    private readonly TokenSampler sampler;
    private readonly StoppingTextDecoder text;

    /// <param name="session">The session, whose row has taken its prompt.</param>
    /// <param name="row">The row.</param>
    /// <param name="options">What the caller asks.</param>
    /// <param name="stops">The options' stop strings, shared by all rows.</param>
    public RowGenerator(BambaSession session, int row, GenerationOptions options, StopStrings stops)
    {
        this.session = session;
        this.row = row;
        promptLength = session.Length(row);
        maxNewTokens = options.MaxNewTokensFor(session.Runtime);
        eosTokenIds = options.EosTokenIds ?? session.Runtime.Defaults.EosTokenIds;
        alternatives = options.LogProbabilities;
        sampling = options.Sampling ?? session.Runtime.Defaults.Sampling;
        sampler = new TokenSampler(sampling);
        text = new StoppingTextDecoder(session.Runtime.Tokenizer.CreateStreamingDecoder(), stops);
        IsFinished = maxNewTokens == 0;
    }

    /// <summary>Whether the row has ended.</summary>
    public bool IsFinished { get; private set; }

    /// <summary>The token that the session is to take next; none once the row has ended.</summary>
    public int Pending { get; private set; } = BambaSession.NoToken;

    /// <summary>Tokens generated so far.</summary>
    public int Count { get; private set; }

    /// <summary>The tokens that end the row.</summary>
    public ImmutableArray<int> EosTokenIds => eosTokenIds;

    /// <summary>How the row's tokens are chosen on a device; null where only the processor can.</summary>
    public SamplingRow? DeviceOptions =>
        alternatives is null && sampler.IsOfScoresAlone
            ? new SamplingRow(
                sampling.Temperature,
                sampling.TopP,
                sampling.MinP,
                sampler.Seed,
                sampling.TopK ?? 0,
                Math.Min(promptLength + maxNewTokens - 1, session.ContextLength)
            )
            : null;

    /// <summary>Chooses the row's next token from its scores.</summary>
    public GeneratedToken Choose()
    {
        ReadOnlySpan<float> logits = session.Logits.Row(row);
        ReadOnlySpan<int> tokens = session.Tokens(row);
        int id = sampler.Sample(logits, tokens, promptLength);
        return Accept(id, tokens.Length, alternatives is { } count ? LogProbabilities.Of(logits, id, count) : null);
    }

    /// <summary>Takes a token that a device chose.</summary>
    public GeneratedToken Accept(int id) =>
        id >= 0
            ? Accept(id, promptLength + Count, null)
            : throw new ArgumentException($"expected a score above negative infinity, found none in row {row}");

    /// <param name="id">The token.</param>
    /// <param name="position">Tokens before it.</param>
    /// <param name="probabilities">Its log probability and others', where they were asked for.</param>
    private GeneratedToken Accept(int id, int position, LogProbabilities? probabilities)
    {
        Count++;
        bool isEnd = eosTokenIds.Contains(id);
        string piece = isEnd ? "" : text.Append(id).ToString();
        FinishReason? reason =
            isEnd ? FinishReason.EndToken
            : text.Stopped is not null ? FinishReason.StopString
            : Count == maxNewTokens ? FinishReason.MaxNewTokens
            : position == session.ContextLength ? FinishReason.ContextLength
            : null;
        IsFinished = reason is not null;
        if (IsFinished)
        {
            piece += text.Flush().ToString();
        }
        Pending = IsFinished ? BambaSession.NoToken : id;
        return new GeneratedToken(row, id, piece, probabilities, reason);
    }
}
