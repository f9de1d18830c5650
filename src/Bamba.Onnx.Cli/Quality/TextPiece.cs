namespace Bamba.Onnx.Cli.Quality;

/// <summary>Positions of a text that are scored at once, all of one window.</summary>
/// <param name="Start">The first.</param>
/// <param name="Count">How many.</param>
/// <param name="BeginsWindow">Whether the model reads them without a past.</param>
internal readonly record struct TextPiece(int Start, int Count, bool BeginsWindow);
