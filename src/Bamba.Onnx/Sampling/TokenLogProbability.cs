namespace Bamba.Onnx.Sampling;

/// <summary>How likely a token was.</summary>
/// <param name="Id">The token.</param>
/// <param name="LogProbability">The natural logarithm of its probability: 0 for certain, negative infinity for impossible.</param>
public readonly record struct TokenLogProbability(int Id, double LogProbability);
