using System.Security.Cryptography;
using System.Text;

namespace Bamba.Onnx.Hub.Tests;

/// <summary>A file of a repository of the test's hub.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Content">Its bytes.</param>
/// <param name="IsLarge">Whether it lies in large file storage, on another host.</param>
internal sealed record HubFile(string Name, byte[] Content, bool IsLarge = false)
{
    public string Hash { get; init; } =
        IsLarge
            ? Convert.ToHexStringLower(SHA256.HashData(Content))
            : Convert.ToHexStringLower(
#pragma warning disable CA5350 // git's choice
                SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {Content.Length}\0"), .. Content])
#pragma warning restore CA5350
            );

    public static HubFile Text(string name, string content) => new(name, Encoding.UTF8.GetBytes(content));

    /// <summary>Weights that are all different, so that a wrong offset shows.</summary>
    public static HubFile Weights(string name, int bytes = 100_000)
    {
        byte[] content = new byte[bytes];
        new Random(bytes).NextBytes(content);
        return new HubFile(name, content, IsLarge: true);
    }
}
