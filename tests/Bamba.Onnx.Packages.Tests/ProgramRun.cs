namespace Bamba.Onnx.Packages.Tests;

/// <summary>What a program wrote.</summary>
/// <param name="Out">To standard output.</param>
/// <param name="Error">To standard error.</param>
public sealed record ProgramRun(string Out, string Error);
