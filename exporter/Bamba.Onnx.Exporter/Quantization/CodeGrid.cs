namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>
/// The values that a group's codes stand for: code q for (q − <paramref name="Zero"/>) · <paramref name="Scale"/>.
/// </summary>
/// <param name="Scale">The positive distance between values, divided as the weights of a <see cref="WeightGroup"/> are.</param>
/// <param name="Zero">The code that stands for zero, whole or not.</param>
/// <param name="Mirrored">
/// Whether code and zero point are stored counted from the largest code down, and the scale with a minus: so that a group without
/// a zero point of its own has its longer side above zero.
/// </param>
internal readonly record struct CodeGrid(float Scale, float Zero, bool Mirrored = false);
