using System.Runtime.CompilerServices;

namespace Bamba.Onnx.Sampling;

/// <summary>
/// Philox 4×32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): random numbers as a function of a key
/// and a counter, so that a choice depends on its seed and position alone,
/// whatever was drawn before it and wherever in a batch its sequence stands.
/// </summary>
internal static class Philox
{
    private const int Rounds = 10;
    private const uint Multiplier0 = 0xD2511F53;
    private const uint Multiplier1 = 0xCD9E8D57;
    private const uint Weyl0 = 0x9E3779B9;
    private const uint Weyl1 = 0xBB67AE85;

    /// <summary>A number in [0, 1) with 53 random bits: the upper ones of the first two words, the second word the higher, of block (step, 0).</summary>
    public static double Uniform(ulong seed, ulong step)
    {
        (uint low, uint high, _, _) = Block(seed, (uint)step, (uint)(step >> 32), 0, 0);
        ulong bits = (((ulong)high << 32) | low) >> 11;
        return bits * (1.0 / (1UL << 53));
    }

    /// <summary>The four words of a counter under a key.</summary>
    public static (uint, uint, uint, uint) Block(ulong key, uint c0, uint c1, uint c2, uint c3)
    {
        uint k0 = (uint)key;
        uint k1 = (uint)(key >> 32);
        for (int round = 0; round < Rounds; round++)
        {
            ulong product0 = (ulong)Multiplier0 * c0;
            ulong product1 = (ulong)Multiplier1 * c2;
            (c0, c1, c2, c3) = (High(product1) ^ c1 ^ k0, (uint)product1, High(product0) ^ c3 ^ k1, (uint)product0);
            k0 += Weyl0;
            k1 += Weyl1;
        }
        return (c0, c1, c2, c3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint High(ulong product) => (uint)(product >> 32);
}
