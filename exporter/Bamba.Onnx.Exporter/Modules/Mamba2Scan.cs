using TorchSharp;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>What the scan takes. H heads of P elements in G groups of consecutive heads, N state elements; all tensors of one floating type.</summary>
public sealed record Mamba2ScanInput
{
    /// <summary>x, [batch, tokens, H, P].</summary>
    public required Tensor X { get; init; }

    /// <summary>dt after bias, softplus and clamp, [batch, tokens, H]. A step of 0 leaves the state as it is: padding.</summary>
    public required Tensor TimeSteps { get; init; }

    /// <summary>A, negative, [H].</summary>
    public required Tensor A { get; init; }

    /// <summary>B, [batch, tokens, G, N].</summary>
    public required Tensor B { get; init; }

    /// <summary>C, [batch, tokens, G, N].</summary>
    public required Tensor C { get; init; }

    /// <summary>D, the skip, [H].</summary>
    public required Tensor D { get; init; }

    /// <summary>The state before the first token, [batch, H, P, N]; null for zeros.</summary>
    public Tensor? InitialState { get; init; }

    /// <summary>The sequence of each token, never decreasing, [1, tokens] integer: the state is zeroed where it changes. Not with an initial state.</summary>
    public Tensor? Segments { get; init; }

    /// <summary>Q, most tokens that are computed as one matrix. It changes memory and rounding only.</summary>
    public required int ChunkSize { get; init; }
}

/// <summary>What the scan gives.</summary>
/// <param name="Y">[batch, tokens, H, P].</param>
/// <param name="FinalState">The state after the last token, [batch, H, P, N].</param>
public sealed record Mamba2ScanOutput(Tensor Y, Tensor FinalState);

/// <summary>
/// The Mamba-2 recurrence, <c>S_t = exp(dt·A)·S_{t−1} + dt·x ⊗ B</c>, <c>y = S_t·C + D·x</c>, in the chunked form of state
/// space duality (Dao and Gu 2024, section 6; mamba_ssm's <c>mamba_chunk_scan_combined</c>): matrix products inside a
/// chunk, one step of the recurrence for each chunk. Decoding is the case of one token.
/// </summary>
public static class Mamba2Scan
{
    /// <summary>Runs the scan.</summary>
    /// <exception cref="ArgumentException">Segments come with an initial state.</exception>
    public static Mamba2ScanOutput Run(Mamba2ScanInput input)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (input is { Segments: not null, InitialState: not null })
        {
            throw new ArgumentException("expected no initial state with segments", nameof(input));
        }
        using DisposeScope scope = NewDisposeScope();
        var chunks = new Chunks(input);
        (Tensor entering, Tensor final) = PassStates(input, chunks);
        Tensor y = WithinChunks(chunks).Plus(FromEarlierChunks(chunks, entering));
        y = chunks.Unchunk(y).Plus(input.D.unsqueeze(-1) * input.X);
        return new Mamba2ScanOutput(y.MoveToOuterDisposeScope(), final.MoveToOuterDisposeScope());
    }

    /// <summary>Each token's share of the tokens up to it in its own chunk, [batch, chunks, G, H/G, Q, P].</summary>
    private static Tensor WithinChunks(Chunks chunks)
    {
        Tensor distance = chunks.LogDecay.unsqueeze(-1).Minus(chunks.LogDecay.unsqueeze(-2));
        // Masked before exp: above the diagonal the exponent is positive and could overflow.
        Tensor decay = chunks.Decay(distance.Fill(chunks.Visible.logical_not(), double.NegativeInfinity));
        return matmul(matmul(chunks.C, chunks.B.transpose(-1, -2)) * decay, chunks.SteppedX);
    }

    /// <summary>Each token's share of the state that entered its chunk, [batch, chunks, G, H/G, Q, P].</summary>
    private static Tensor FromEarlierChunks(Chunks chunks, Tensor entering)
    {
        Tensor decay = chunks.Decay(chunks.LogDecay);
        if (chunks.Segments is { } segments)
        {
            Tensor lastOfPrevious = cat([segments.narrow(1, 0, 1).narrow(2, 0, 1), chunks.LastSegments], 1)
                .narrow(1, 0, segments.shape[1]);
            decay = decay * Chunks.OverHeads(segments.eq(lastOfPrevious));
        }
        return matmul(chunks.C, entering.transpose(-1, -2)) * decay.unsqueeze(-1);
    }

    /// <summary>The recurrence over chunks.</summary>
    /// <returns>The state that enters each chunk, [batch, chunks, G, H/G, P, N], and the last, [batch, H, P, N].</returns>
    private static (Tensor Entering, Tensor Final) PassStates(Mamba2ScanInput input, Chunks chunks)
    {
        Tensor total = chunks.LogDecay.narrow(-1, chunks.Size - 1, 1);
        Tensor toEnd = chunks.Decay(total.Minus(chunks.LogDecay));
        Tensor carry = chunks.Decay(total).unsqueeze(-1);
        if (chunks.Segments is { } segments)
        {
            toEnd = toEnd * Chunks.OverHeads(segments.eq(chunks.LastSegments));
            Tensor first = chunks.LastSegments.narrow(1, 0, 1);
            Tensor previous = cat([first, chunks.LastSegments], 1).narrow(1, 0, chunks.Count);
            carry = carry * Chunks.OverHeads(previous.eq(chunks.LastSegments)).unsqueeze(-1);
        }
        Tensor added = matmul((chunks.SteppedX * toEnd.unsqueeze(-1)).transpose(-1, -2), chunks.B);

        Tensor state = input.InitialState?.unflatten(1, chunks.Groups, -1) ?? zeros_like(added.select(1, 0));
        var entering = new List<Tensor>();
        for (long chunk = 0; chunk < chunks.Count; chunk++)
        {
            entering.Add(state);
            state = (carry.select(1, chunk) * state).Plus(added.select(1, chunk));
        }
        return (stack(entering, 1), state.flatten(1, 2));
    }

    /// <summary>The inputs cut into chunks of Q tokens, the last one filled with zeros, tokens next to last.</summary>
    private sealed class Chunks
    {
        private readonly long tokens;

        public Chunks(Mamba2ScanInput input)
        {
            tokens = input.X.shape[1];
            Size = Math.Min(input.ChunkSize, tokens);
            Count = (tokens + Size - 1) / Size;
            Groups = input.B.shape[2];

            B = ByGroup(input.B.unsqueeze(3));
            C = ByGroup(input.C.unsqueeze(3));
            Tensor steps = ByGroup(input.TimeSteps.unsqueeze(-1).unflatten(2, Groups, -1));
            SteppedX = ByGroup(input.X.unflatten(2, Groups, -1)) * steps;
            LogDecay = (steps.squeeze(-1) * input.A.view(Groups, -1, 1)).to_type(ScalarType.Float64).cumsum(-1);
            Visible = ones([Size, Size], ScalarType.Bool, input.X.device).tril();
            if (input.Segments is { } segments)
            {
                // The filling belongs to the last sequence, whose state passes through it.
                Tensor filling = segments.narrow(1, tokens - 1, 1).expand(-1, (Count * Size) - tokens);
                Segments = cat([segments, filling], 1).unflatten(1, Count, Size);
                Visible = Visible.logical_and(OverHeads(Segments).unsqueeze(-1).eq(OverHeads(Segments).unsqueeze(-2)));
            }
        }

        public long Size { get; }

        public long Count { get; }

        public long Groups { get; }

        /// <summary>[batch, chunks, G, 1, Q, N].</summary>
        public Tensor B { get; }

        /// <summary>[batch, chunks, G, 1, Q, N].</summary>
        public Tensor C { get; }

        /// <summary>dt · x, [batch, chunks, G, H/G, Q, P].</summary>
        public Tensor SteppedX { get; }

        /// <summary>
        /// Running sum of dt · A from the chunk's start, [batch, chunks, G, H/G, Q]. Always float64: what is used are differences
        /// of these sums, and those of float32 lose four digits in a chunk of 256 tokens.
        /// </summary>
        public Tensor LogDecay { get; }

        /// <summary>Which token (last axis) each token sees, broadcast to [batch, chunks, G, H/G, Q, Q] bool.</summary>
        public Tensor Visible { get; }

        /// <summary>[1, chunks, Q].</summary>
        public Tensor? Segments { get; }

        /// <summary>The segment of each chunk's last token, [1, chunks, 1].</summary>
        public Tensor LastSegments => Segments!.narrow(2, Size - 1, 1);

        /// <summary>What is left after such a sum, in the type of the inputs.</summary>
        public Tensor Decay(Tensor logDecay) => logDecay.to_type(SteppedX.dtype).exp();

        /// <summary>[1, chunks, Q] to [1, chunks, 1, 1, Q].</summary>
        public static Tensor OverHeads(Tensor ofTokens) => ofTokens.unsqueeze(2).unsqueeze(3);

        /// <summary>[batch, chunks, G, H/G, Q, P] to [batch, tokens, H, P].</summary>
        public Tensor Unchunk(Tensor values) =>
            values.permute(0, 1, 4, 2, 3, 5).flatten(3, 4).flatten(1, 2).narrow(1, 0, tokens);

        /// <summary>[batch, tokens, groups, heads, width] to [batch, chunks, groups, heads, Q, width].</summary>
        private Tensor ByGroup(Tensor values)
        {
            long missing = (Count * Size) - tokens;
            Tensor filled = missing == 0 ? values : nn.functional.pad(values, [0, 0, 0, 0, 0, 0, 0, missing]);
            return filled.unflatten(1, Count, Size).permute(0, 1, 3, 4, 2, 5);
        }
    }
}
