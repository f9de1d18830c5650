using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Bamba.Onnx.Hub.Transfer;

/// <summary>
/// Computes the hash by which the hub names a file: SHA-256 of the bytes for a large one (git LFS), for others git's name of the
/// blob, the SHA-1 of <c>blob SIZE\0</c> and the bytes.
/// </summary>
internal sealed class BlobHash : IDisposable
{
    private const int Sha256Digits = 64;
    private const int GitDigits = 40;

    private readonly RemoteFile file;
    private readonly IncrementalHash hash;

    public BlobHash(RemoteFile file)
    {
        this.file = file;
        hash = IncrementalHash.CreateHash(IsGit ? HashAlgorithmName.SHA1 : HashAlgorithmName.SHA256);
        Begin();
    }

    /// <summary>What the hash is called, for people.</summary>
    public string Name => IsGit ? "git hash" : "SHA-256";

    private bool IsGit => file.Hash.Length == GitDigits;

    public static bool IsKnown(string hash) =>
        hash.Length is Sha256Digits or GitDigits && hash.All(char.IsAsciiHexDigitLower);

    public void Append(ReadOnlySpan<byte> bytes) => hash.AppendData(bytes);

    /// <summary>Begins anew, as if nothing had been appended.</summary>
    public void Restart()
    {
        hash.GetHashAndReset();
        Begin();
    }

    /// <summary>The hash of all that was appended, in lower-case hexadecimal.</summary>
    public string Finish() => Convert.ToHexStringLower(hash.GetHashAndReset());

    /// <inheritdoc/>
    public void Dispose() => hash.Dispose();

    private void Begin()
    {
        if (IsGit)
        {
            hash.AppendData(
                Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {file.Bytes}\0"))
            );
        }
    }
}
