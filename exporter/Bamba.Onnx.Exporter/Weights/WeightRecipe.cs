using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Weights;

/// <summary>
/// A hash of all that weights files follow from beside the checkpoint's tensors: the graphs, which say what lies where, the formats and
/// activations that matrices are quantized by, and the code that does it.
/// </summary>
internal static class WeightRecipe
{
    /// <summary>The hash, lower-case hexadecimal.</summary>
    /// <param name="config">The checkpoint's config.json, which tables that no checkpoint has are made from.</param>
    /// <param name="graphs">The graphs' files.</param>
    /// <param name="plan">What the weights files will hold.</param>
    public static string Of(byte[] config, IEnumerable<byte[]> graphs, WeightPlan plan)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // A build has the same identity each time, and another one as soon as a line of it changes.
        foreach (Type type in (Type[])[typeof(WeightRecipe), typeof(WeightQuantization)])
        {
            hash.AppendData(type.Module.ModuleVersionId.ToByteArray());
        }
        foreach (byte[] file in graphs.Prepend(config))
        {
            hash.AppendData(SHA256.HashData(file));
        }
        foreach ((string name, WeightQuantization format) in plan.QuantizedMatrices)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{name} {format}\n"));
        }
        foreach ((string name, float[] squares) in plan.MeanSquares.OrderBy(m => m.Key, StringComparer.Ordinal))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{name} {squares.Length}\n"));
            hash.AppendData(MemoryMarshal.AsBytes(squares.AsSpan()));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
