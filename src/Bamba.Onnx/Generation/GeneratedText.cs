using System.Collections.Immutable;

namespace Bamba.Onnx.Generation;

/// <summary>A whole generated text.</summary>
/// <param name="Prompt">What it continues.</param>
/// <param name="Text">The continuation, without the prompt.</param>
/// <param name="Tokens">Its tokens, with log probabilities where they were asked for.</param>
/// <param name="PromptTokens">Tokens of the prompt.</param>
/// <param name="FinishReason">Why it ended; null where no token was asked for.</param>
public sealed record GeneratedText(
    string Prompt,
    string Text,
    ImmutableArray<GeneratedToken> Tokens,
    int PromptTokens,
    FinishReason? FinishReason
);
