namespace Bamba.Onnx.Hub.Transfer;

/// <summary>A file as the hub announces it.</summary>
/// <param name="Name">Its name in the repository.</param>
/// <param name="Hash">SHA-256 of its bytes, or SHA-1 of git's blob of it: its name in the cache.</param>
/// <param name="Bytes">Its size.</param>
internal sealed record RemoteFile(string Name, string Hash, long Bytes);
