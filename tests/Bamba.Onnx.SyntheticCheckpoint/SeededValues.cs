using System.Security.Cryptography;
using System.Text;

namespace Bamba.Onnx.SyntheticCheckpoint;

/// <summary>Random numbers that follow from a seed and a name, and the distributions that parameters are drawn from.</summary>
internal static class SeededValues
{
    private const double SmallestStep = 1e-3;
    private const double LargestStep = 1e-1;

    /// <summary>A generator of its own for a name, the same on every machine and in every process.</summary>
    public static Random RandomOf(ulong seed, string name)
    {
        byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{seed} {name}"));
        return new Random(BitConverter.ToInt32(hash));
    }

    /// <summary>Around zero, of deviation one: Box and Muller's transform.</summary>
    public static double Normal(Random random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>A bias of time steps such that softplus gives steps between 0.001 and 0.1, as in Mamba's own initialisation.</summary>
    public static double TimeStepBias(Random random)
    {
        double step = SmallestStep * Math.Pow(LargestStep / SmallestStep, random.NextDouble());
        return step + Math.Log(1 - Math.Exp(-step));
    }
}
