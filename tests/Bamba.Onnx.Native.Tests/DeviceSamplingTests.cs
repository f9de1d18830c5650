using System.Runtime.InteropServices;
using Bamba.Onnx.Sampling;

namespace Bamba.Onnx.Native.Tests;

/// <summary>The choice of tokens that devices make, run on this machine, beside the host's own.</summary>
public sealed class DeviceSamplingTests
{
    private static readonly double[] Temperatures = [0, 1e-6, 0.3, 0.7, 1, 1.3, 2, 100];
    private static readonly double[] TopPs = [1, 1, 1e-9, 0.1, 0.5, 0.9, 0.95, 0.999];
    private static readonly double[] MinPs = [0, 0, 0, 1e-9, 0.01, 0.1, 0.5, 1];

    public static TheoryData<int, int> SizesAndSteps =>
        new()
        {
            { 1, 50 },
            { 2, 200 },
            { 3, 200 },
            { 65, 500 },
            { 2048, 1000 },
            { 4097, 500 },
            { 128_256, 40 },
        };

    private enum Choosing
    {
        ByTwin,
        ByStages,
    }

    [Theory]
    [MemberData(nameof(SizesAndSteps))]
    public async Task The_plain_twin_chooses_what_the_sampler_does(int vocab, int steps) =>
        AssertChoicesAgree(await NativeBuild.BuildAsync("sampling_twins"), Choosing.ByTwin, vocab, steps);

    [Theory]
    [MemberData(nameof(SizesAndSteps))]
    public async Task The_stages_of_a_device_choose_what_the_sampler_does(int vocab, int steps) =>
        AssertChoicesAgree(await NativeBuild.BuildAsync("sampling_twins"), Choosing.ByStages, vocab, steps);

    private static void AssertChoicesAgree(string library, Choosing choosing, int vocab, int steps)
    {
        var random = new Random(vocab);
        var scores = new float[vocab];
        for (int step = 0; step < steps; step++)
        {
            Fill(random, scores);
            SamplingOptions options = RandomOptions(random, vocab);
            int position = random.Next(100_000);
            int expected = new TokenSampler(options).Sample(scores, (ulong)position);
            Assert.Equal((options, expected), (options, Choose(library, choosing, scores, options, position)));
        }
    }

    private static unsafe int Choose(
        string library,
        Choosing choosing,
        float[] scores,
        SamplingOptions options,
        int position
    )
    {
        nint handle = NativeLibrary.Load(library);
        var row = new SamplingRow
        {
            Temperature = options.Temperature,
            TopP = options.TopP,
            MinP = options.MinP,
            Seed = options.Seed!.Value,
            TopK = options.TopK ?? 0,
            LastPosition = int.MaxValue,
        };
        int past = position - 1;
        int length = 1;
        long next = -1;
        int emitted = -1;
        fixed (float* logits = scores)
        {
            var step = new SamplingStep
            {
                Logits = logits,
                Options = &row,
                Rows = 1,
                Vocab = scores.Length,
                Advance = 1,
                PastLens = &past,
                SeqLens = &length,
                NextTokens = &next,
                Emitted = &emitted,
                Ring = 1,
            };
            if (choosing == Choosing.ByTwin)
            {
                var choose = (delegate* unmanaged<SamplingStep*, void>)
                    NativeLibrary.GetExport(handle, "BambaSampleTokensByTwin");
                choose(&step);
            }
            else
            {
                var choose = (delegate* unmanaged<SamplingStep*, int, void>)
                    NativeLibrary.GetExport(handle, "BambaSampleTokensByStages");
                choose(&step, 1);
            }
        }
        Assert.Equal((emitted, position), ((int)next, past));
        return emitted;
    }

    /// <summary>Scores spread as a model's are, or coarsely so that many tie, or some not finite, one at least to choose.</summary>
    private static void Fill(Random random, float[] scores)
    {
        int kind = random.Next(5);
        for (int i = 0; i < scores.Length; i++)
        {
            double normal =
                Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
            scores[i] = kind switch
            {
                0 => (float)(2.5 * normal),
                1 => (float)(0.05 * normal),
                2 => (float)Math.Round(2 * normal),
                3 => random.Next(3) == 0 ? float.NaN : (float)(100 * normal),
                _ => random.Next(50) == 0 ? float.PositiveInfinity : (float)normal,
            };
            scores[i] = random.Next(10) == 0 ? float.NegativeInfinity : scores[i];
        }
        scores[random.Next(scores.Length)] = 1;
    }

    private static SamplingOptions RandomOptions(Random random, int vocab) =>
        new()
        {
            Temperature = Temperatures[random.Next(Temperatures.Length)],
            TopK = random.Next(2) == 0 ? null : 1 + random.Next(random.Next(2) == 0 ? 50 : vocab + 5),
            TopP = TopPs[random.Next(TopPs.Length)],
            MinP = MinPs[random.Next(MinPs.Length)],
            Seed = (ulong)random.NextInt64(),
        };
}
