using Bamba.Onnx.Generation;

namespace Bamba.Onnx.Chat;

/// <summary>What was said and what was answered.</summary>
/// <param name="User">What was said.</param>
/// <param name="Assistant">The answer, as far as it was shown.</param>
/// <param name="FinishReason">Why the answer ended; null where it was stopped.</param>
public sealed record ChatTurn(string User, string Assistant, FinishReason? FinishReason);
