using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Exporter.Checkpoint;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>The hashes of a checkpoint's tensors, taken while their bytes pass by, and the hash over all of them.</summary>
internal sealed class SourceDigests(CheckpointFolder checkpoint)
{
    private readonly ConcurrentDictionary<string, byte[]> digests = [];
    private readonly ConcurrentDictionary<string, bool> claimed = [];

    /// <summary>Starts a tensor's hash; null where another reader of the same tensor has it in hand.</summary>
    public TensorDigest? Begin(string tensor) =>
        claimed.TryAdd(tensor, true) ? new TensorDigest(digest => digests[tensor] = digest) : null;

    /// <summary>By tensor that was read as a whole, its hash, lower-case hexadecimal.</summary>
    public IReadOnlyDictionary<string, string> Completed() =>
        digests.ToDictionary(digest => digest.Key, digest => Convert.ToHexStringLower(digest.Value));

    /// <summary>
    /// The hash of the whole, lower-case hexadecimal: SHA-256 over lines of UTF-8 that each end in a line feed, first
    /// "SHA256 config.json" with the file's hash, then for each tensor in ordinal order of canonical names
    /// "SHA256 dtype [shape] name".
    /// </summary>
    /// <exception cref="BambaFormatException">config.json became unreadable.</exception>
    public string Combine()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        AppendLine($"{Convert.ToHexStringLower(ConfigDigest())} {ModelFiles.Config}");
        foreach (CheckpointTensor tensor in checkpoint.Tensors.Values.OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            string digest = Convert.ToHexStringLower(digests[tensor.Name]);
            AppendLine($"{digest} {tensor.Type.ShortName()} {TensorShape.Text(tensor.Shape)} {tensor.Name}");
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());

        void AppendLine(string line) => hash.AppendData(Encoding.UTF8.GetBytes(line + "\n"));
    }

    private byte[] ConfigDigest()
    {
        try
        {
            return SHA256.HashData(File.ReadAllBytes(checkpoint.ConfigPath));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BambaFormatException(checkpoint.ConfigPath, $"cannot be read: {e.Message}", e);
        }
    }
}

/// <summary>The hash of one tensor's bytes, in order.</summary>
internal sealed class TensorDigest(Action<byte[]> complete) : IDisposable
{
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public void Append(ReadOnlySpan<byte> bytes) => hash.AppendData(bytes);

    public void Complete() => complete(hash.GetHashAndReset());

    public void Dispose() => hash.Dispose();
}
