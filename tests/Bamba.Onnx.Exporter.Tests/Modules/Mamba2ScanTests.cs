using Bamba.Onnx.Exporter.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>The chunked scan is the recurrence, for any chunk size.</summary>
public sealed class Mamba2ScanTests
{
    private const int Batch = 2;
    private const int Heads = 4;
    private const int HeadDim = 3;
    private const int StateSize = 5;

    [Theory]
    [InlineData(1, 8, 1, false)]
    [InlineData(1, 8, 2, true)] // a decode step
    [InlineData(5, 8, 2, true)] // shorter than a chunk
    [InlineData(8, 8, 2, true)] // one whole chunk
    [InlineData(9, 8, 2, true)] // one token more
    [InlineData(23, 8, 2, false)] // a chunk cut short
    [InlineData(24, 8, 4, true)] // as many groups as heads
    [InlineData(23, 1, 2, true)] // chunks of one token
    [InlineData(23, 256, 1, true)] // a chunk longer than the text
    public void Chunks_give_what_the_recurrence_gives(int tokens, int chunk, int groups, bool continued)
    {
        using var scope = NewDisposeScope();
        Mamba2ScanInput input = RandomInput(tokens, chunk, groups, continued);

        Mamba2ScanOutput output = Mamba2Scan.Run(input);

        (Tensor y, Tensor state) = Recurrence(input);
        Close.To(y, output.Y, 1e-12);
        Close.To(state, output.FinalState, 1e-12);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(64)]
    public void The_state_is_zeroed_where_segments_change(int chunk)
    {
        using var scope = NewDisposeScope();
        Mamba2ScanInput input = RandomInput(23, chunk, 2, continued: false) with
        {
            // A sequence of one token, one that spans chunks, one that ends with a chunk of 4, numbers left out.
            Segments = tensor(new long[] { 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 7, 7, 7, 7, 7, 7, 8 })
                .unsqueeze(0),
        };

        Mamba2ScanOutput output = Mamba2Scan.Run(input);

        (Tensor y, Tensor state) = Recurrence(input);
        Close.To(y, output.Y, 1e-12);
        Close.To(state, output.FinalState, 1e-12);
        Assert.True(Close.Distance(y, Mamba2Scan.Run(input with { Segments = null }).Y) > 0.1);
    }

    [Fact]
    public void Steps_of_zero_leave_the_state_as_it_is()
    {
        using var scope = NewDisposeScope();
        Mamba2ScanInput input = RandomInput(13, 4, 2, continued: true);
        Tensor steps = input.TimeSteps.clone();
        steps.narrow(1, 6, 7).zero_();

        Mamba2ScanOutput padded = Mamba2Scan.Run(input with { TimeSteps = steps });

        Mamba2ScanOutput alone = Mamba2Scan.Run(
            input with
            {
                X = input.X.narrow(1, 0, 6),
                TimeSteps = input.TimeSteps.narrow(1, 0, 6),
                B = input.B.narrow(1, 0, 6),
                C = input.C.narrow(1, 0, 6),
            }
        );
        Close.To(alone.FinalState, padded.FinalState, 1e-12);
    }

    [Fact]
    public void Float32_keeps_its_digits_in_a_long_chunk_of_fast_decay()
    {
        using var scope = NewDisposeScope();
        Mamba2ScanInput wide = RandomInput(256, 256, 1, continued: true);
        wide = wide with { A = wide.A * 10 };
        Mamba2ScanInput narrow = wide with
        {
            X = wide.X.@float(),
            TimeSteps = wide.TimeSteps.@float(),
            A = wide.A.@float(),
            B = wide.B.@float(),
            C = wide.C.@float(),
            D = wide.D.@float(),
            InitialState = wide.InitialState!.@float(),
        };

        Close.To(Mamba2Scan.Run(wide).Y, Mamba2Scan.Run(narrow).Y, 2e-5);
    }

    [Fact]
    public void Segments_after_an_initial_state_are_refused()
    {
        using var scope = NewDisposeScope();
        Mamba2ScanInput input = RandomInput(4, 4, 1, continued: true) with { Segments = zeros(1, 4) };

        Assert.Throws<ArgumentException>(() => Mamba2Scan.Run(input));
    }

    private static Mamba2ScanInput RandomInput(int tokens, int chunk, int groups, bool continued)
    {
        using var random = new Generator(5);
        return new Mamba2ScanInput
        {
            X = Normal(Batch, tokens, Heads, HeadDim),
            TimeSteps = Normal(Batch, tokens, Heads).abs(),
            A = -Normal(Heads).abs(),
            B = Normal(Batch, tokens, groups, StateSize),
            C = Normal(Batch, tokens, groups, StateSize),
            D = Normal(Heads),
            InitialState = continued ? Normal(Batch, Heads, HeadDim, StateSize) : null,
            ChunkSize = chunk,
        };

        Tensor Normal(params long[] shape) => randn(shape, ScalarType.Float64, generator: random);
    }

    /// <summary>The definition, a token at a time.</summary>
    private static (Tensor Y, Tensor State) Recurrence(Mamba2ScanInput input)
    {
        Tensor state = input.InitialState ?? zeros([Batch, Heads, HeadDim, StateSize], ScalarType.Float64);
        long headsOfGroup = Heads / input.B.shape[2];
        var y = new List<Tensor>();
        for (long t = 0; t < input.X.shape[1]; t++)
        {
            bool starts = t > 0 && input.Segments is { } s && s[0, t].item<long>() != s[0, t - 1].item<long>();
            Tensor x = input.X.select(1, t);
            Tensor dt = input.TimeSteps.select(1, t).unsqueeze(-1);
            Tensor b = input.B.select(1, t).repeat_interleave(headsOfGroup, 1);
            Tensor c = input.C.select(1, t).repeat_interleave(headsOfGroup, 1);
            Tensor decay = (dt * input.A.unsqueeze(-1)).exp().unsqueeze(-1);
            Tensor kept = starts ? zeros_like(state) : state;
            state = (decay * kept) + ((dt * x).unsqueeze(-1) * b.unsqueeze(-2));
            y.Add((state * c.unsqueeze(-2)).sum(-1) + (input.D.unsqueeze(-1) * x));
        }
        return (stack(y, 1), state);
    }
}
