using Bamba.Onnx.Exporter.Lowering.Functions;

namespace Bamba.Onnx.Exporter.Tests.Lowering;

/// <summary>Inputs of one <c>Mamba2ChunkScan</c> call, row-major.</summary>
internal sealed class Mamba2Case
{
    public required Mamba2ChunkScanShape Shape { get; init; }
    public required int Batch { get; init; }
    public required int Length { get; init; }
    public required int[] SeqLens { get; init; }
    public required float[] Zxbcdt { get; init; }
    public required float[] ConvWeight { get; init; }
    public required float[] ConvBias { get; init; }
    public required float[] ALog { get; init; }
    public required float[] D { get; init; }
    public required float[] DtBias { get; init; }
    public required float[] NormWeight { get; init; }
    public required float[] PastConvState { get; init; }
    public required float[] PastRecurrentState { get; init; }

    public int Channels => (2 * Shape.InnerSize) + (2 * Shape.GroupStateSize) + Shape.NumHeads;

    /// <summary>Random values at sane scales; what lies past a row's length is NaN, so that any use of it shows.</summary>
    public static Mamba2Case Random(Mamba2ChunkScanShape shape, int length, int[] seqLens, int seed)
    {
        var random = new Random(seed);
        int batch = seqLens.Length;
        int channels = (2 * shape.InnerSize) + (2 * shape.GroupStateSize) + shape.NumHeads;
        float[] zxbcdt = Values(batch * length * channels, 1);
        for (int b = 0; b < batch; b++)
        {
            zxbcdt.AsSpan(((b * length) + seqLens[b]) * channels, (length - seqLens[b]) * channels).Fill(float.NaN);
        }
        return new Mamba2Case
        {
            Shape = shape,
            Batch = batch,
            Length = length,
            SeqLens = seqLens,
            Zxbcdt = zxbcdt,
            ConvWeight = Values(shape.ConvDim * shape.ConvKernel, 0.5),
            ConvBias = Values(shape.ConvDim, 0.5),
            ALog = Values(shape.NumHeads, 1),
            D = Values(shape.NumHeads, 1),
            DtBias = Values(shape.NumHeads, 1),
            NormWeight = Values(shape.InnerSize, 1),
            PastConvState = Values(batch * shape.ConvDim * (shape.ConvKernel - 1), 1),
            PastRecurrentState = Values(batch * shape.InnerSize * shape.StateSize, 1),
        };

        float[] Values(int count, double scale) =>
            [.. Enumerable.Range(0, count).Select(_ => (float)(scale * ((2 * random.NextDouble()) - 1)))];
    }
}

/// <summary>Outputs of one call.</summary>
internal sealed record Mamba2Result(float[] Y, float[] ConvState, float[] RecurrentState);

/// <summary>The definition itself, token by token in float64.</summary>
internal static class Mamba2Recurrence
{
    public static Mamba2Result Run(Mamba2Case call)
    {
        Mamba2ChunkScanShape s = call.Shape;
        var result = new Mamba2Result(
            new float[call.Batch * call.Length * s.InnerSize],
            (float[])call.PastConvState.Clone(),
            (float[])call.PastRecurrentState.Clone()
        );
        int convSize = s.ConvDim * (s.ConvKernel - 1);
        int stateSize = s.InnerSize * s.StateSize;
        for (int b = 0; b < call.Batch; b++)
        {
            if (call.SeqLens[b] == 0)
            {
                continue;
            }
            double[] window = [.. call.PastConvState.AsSpan(b * convSize, convSize).ToArray().Select(v => (double)v)];
            double[] state =
            [
                .. call.PastRecurrentState.AsSpan(b * stateSize, stateSize).ToArray().Select(v => (double)v),
            ];
            for (int t = 0; t < call.SeqLens[b]; t++)
            {
                int row = (b * call.Length) + t;
                double[] y = Token(call, call.Zxbcdt.AsSpan(row * call.Channels, call.Channels), window, state);
                Store(y, result.Y.AsSpan(row * s.InnerSize));
            }
            Store(window, result.ConvState.AsSpan(b * convSize));
            Store(state, result.RecurrentState.AsSpan(b * stateSize));
        }
        return result;
    }

    private static double[] Token(Mamba2Case call, ReadOnlySpan<float> zxbcdt, double[] window, double[] state)
    {
        Mamba2ChunkScanShape s = call.Shape;
        double[] xbc = Convolve(call, zxbcdt.Slice(s.InnerSize, s.ConvDim), window);
        ReadOnlySpan<float> rawDt = zxbcdt[(s.InnerSize + s.ConvDim)..];
        var y = new double[s.InnerSize];
        for (int h = 0; h < s.NumHeads; h++)
        {
            double dt = Math.Log(1 + Math.Exp(rawDt[h] + (double)call.DtBias[h]));
            dt = Math.Min(Math.Max(dt, s.DtMin), s.DtMax);
            double decay = Math.Exp(-Math.Exp(call.ALog[h]) * dt);
            int group = h / (s.NumHeads / s.NumGroups);
            int bStart = s.InnerSize + (group * s.StateSize);
            int cStart = bStart + s.GroupStateSize;
            for (int p = 0; p < s.HeadDim; p++)
            {
                int channel = (h * s.HeadDim) + p;
                double sum = call.D[h] * xbc[channel];
                for (int n = 0; n < s.StateSize; n++)
                {
                    ref double element = ref state[(channel * s.StateSize) + n];
                    element = (decay * element) + (dt * xbc[channel] * xbc[bStart + n]);
                    sum += element * xbc[cStart + n];
                }
                y[channel] = sum * Silu(zxbcdt[channel]);
            }
        }
        for (int start = 0; start < y.Length; start += s.NormGroupSize)
        {
            Span<double> group = y.AsSpan(start, s.NormGroupSize);
            double squares = 0;
            foreach (double value in group)
            {
                squares += value * value;
            }
            double scale = 1 / Math.Sqrt((squares / group.Length) + s.Epsilon);
            for (int i = 0; i < group.Length; i++)
            {
                group[i] *= scale * call.NormWeight[start + i];
            }
        }
        return y;
    }

    private static double[] Convolve(Mamba2Case call, ReadOnlySpan<float> input, double[] window)
    {
        int taps = call.Shape.ConvKernel;
        var result = new double[input.Length];
        for (int c = 0; c < input.Length; c++)
        {
            Span<double> past = window.AsSpan(c * (taps - 1), taps - 1);
            double sum = call.ConvBias[c] + ((double)call.ConvWeight[(c * taps) + taps - 1] * input[c]);
            for (int w = 0; w < taps - 1; w++)
            {
                sum += call.ConvWeight[(c * taps) + w] * past[w];
            }
            past[1..].CopyTo(past);
            past[^1] = input[c];
            result[c] = Silu(sum);
        }
        return result;
    }

    private static double Silu(double v) => v / (1 + Math.Exp(-v));

    private static void Store(double[] values, Span<float> target)
    {
        for (int i = 0; i < values.Length; i++)
        {
            target[i] = (float)values[i];
        }
    }
}
