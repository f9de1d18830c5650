using System.Collections.Immutable;
using System.Security.Cryptography;
using Bamba.Onnx.Contract;
using Microsoft.Win32.SafeHandles;

namespace Bamba.Onnx.SyntheticWeights;

/// <summary>Writes random weights beside graphs that were exported without any, so that the folder runs.</summary>
public static class SyntheticWeightsWriter
{
    private const int LargestGap = 4096;

    /// <summary>Writes the weights files, and tells the folder's manifest of them.</summary>
    /// <param name="folder">A model folder without weights.</param>
    /// <param name="seed">What the values follow from.</param>
    /// <param name="hash">Whether to hash the weights for the manifest, beside writing them; runs do without, verification does not.</param>
    /// <returns>Bytes of the weights files.</returns>
    /// <exception cref="BambaException">The folder is none, is damaged or has weights already.</exception>
    /// <exception cref="IOException">A file cannot be written.</exception>
    public static long Write(string folder, ulong seed = 1, bool hash = true)
    {
        ArgumentNullException.ThrowIfNull(folder);
        ModelManifest manifest = ModelManifest.Load(folder);
        if (manifest.Options.Weights)
        {
            throw new BambaException($"{folder}: expected a model that was exported without weights");
        }
        BambaConfig config = BambaConfig.Load(Path.Combine(folder, ModelFiles.Config));
        ImmutableArray<ExternalTensor> tensors = ExternalTensor.OfFolder(folder, manifest.Layout);
        var values = new WeightValues(config, seed, tensors, manifest.Quantization ?? []);
        var files = new List<ManifestFile>();
        foreach (IGrouping<string, ExternalTensor> file in tensors.GroupBy(tensor => tensor.File))
        {
            long bytes = file.Max(tensor => tensor.End);
            ImmutableArray<WeightPiece> pieces = [.. file.SelectMany(WeightPiece.Of)];
            Task<string> hashing = hash ? Task.Run(() => HashOf(pieces, values)) : Task.FromResult("");
            WriteAll(Path.Combine(folder, file.Key), bytes, pieces, values);
            files.Add(new ManifestFile(file.Key, bytes, hashing.GetAwaiter().GetResult()));
        }
        ModelManifest whole = manifest with
        {
            Options = manifest.Options with { Weights = true },
            Files = manifest.Files.AddRange(files),
        };
        // Last: until then the folder counts as one without weights.
        whole.Save(folder);
        return whole.WeightBytes;
    }

    private static void WriteAll(string path, long bytes, ImmutableArray<WeightPiece> pieces, WeightValues values)
    {
        using SafeFileHandle handle = File.OpenHandle(path, FileMode.Create, FileAccess.Write);
        RandomAccess.SetLength(handle, bytes);
        Parallel.ForEach(pieces, piece => RandomAccess.Write(handle, values.BytesOf(piece).Span, piece.Offset));
    }

    /// <summary>The file's hash, from the values and not from the file, so that it need not wait for the writing.</summary>
    private static string HashOf(ImmutableArray<WeightPiece> pieces, WeightValues values)
    {
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> gap = stackalloc byte[LargestGap];
        gap.Clear();
        long end = 0;
        foreach (WeightPiece piece in pieces)
        {
            for (; end < piece.Offset; end += Math.Min(LargestGap, piece.Offset - end))
            {
                digest.AppendData(gap[..(int)Math.Min(LargestGap, piece.Offset - end)]);
            }
            ReadOnlySpan<byte> bytes = values.BytesOf(piece).Span;
            digest.AppendData(bytes);
            end += bytes.Length;
        }
        return Convert.ToHexStringLower(digest.GetHashAndReset());
    }
}
