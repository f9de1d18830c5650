namespace Bamba.Onnx.Cli.Quality;

/// <summary>What two models made of one position.</summary>
/// <param name="ReferenceNats">Minus the log probability that the reference gave the token that follows.</param>
/// <param name="Nats">The same of the model.</param>
/// <param name="Divergence">KL divergence from the reference's distribution to the model's, in nats.</param>
/// <param name="SameTop">Whether both hold the same token for the likeliest.</param>
internal readonly record struct PositionComparison(double ReferenceNats, double Nats, double Divergence, bool SameTop);
