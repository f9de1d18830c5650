namespace Bamba.Onnx.Hub;

/// <summary>How far a download is.</summary>
/// <param name="File">The file that is coming.</param>
/// <param name="DoneBytes">Bytes of all its files that are here, also those of an earlier, interrupted download.</param>
/// <param name="TotalBytes">Bytes of all files that were missing when it began, as far as they are known.</param>
public readonly record struct HubProgress(string File, long DoneBytes, long TotalBytes);
