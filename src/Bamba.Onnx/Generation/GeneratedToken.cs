using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Generation;

/// <summary>A token as it comes out of a generation. Every one comes, also an end token and those of a stop string.</summary>
/// <param name="Row">The prompt that it continues.</param>
/// <param name="Id">Its id.</param>
/// <param name="Text">
/// The text that may be shown now: whole characters, nothing that may yet turn out to be a stop string, empty for most special
/// tokens. The texts of a row's tokens together are its text.
/// </param>
/// <param name="LogProbabilities">How likely it and its alternatives were, where that was asked for.</param>
/// <param name="FinishReason">Why the row ends with this token; null while it goes on.</param>
public readonly record struct GeneratedToken(
    int Row,
    int Id,
    string Text,
    LogProbabilities? LogProbabilities,
    FinishReason? FinishReason
);
