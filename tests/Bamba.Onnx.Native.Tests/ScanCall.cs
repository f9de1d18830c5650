using System.Collections.Immutable;
using Bamba.Onnx.Contract;
using Bamba.Onnx.Graph;

namespace Bamba.Onnx.Native.Tests;

/// <summary>Inputs and attributes of one call of <see cref="Mamba2ChunkScanOp"/>: two heads of four, eight state elements, four taps.</summary>
internal sealed record ScanCall
{
    /// <summary>E.</summary>
    public const int Inner = 8;

    private const int Heads = 2;
    private const int HeadDim = 4;
    private const int StateSize = 8;
    private const int Taps = 4;
    private const int ConvChannels = Inner + (2 * StateSize);

    private ScanCall(ElementType type, int batch, int length, int stateRows)
    {
        var random = new Random(17);
        Inputs = new Dictionary<string, Operand>
        {
            ["zxbcdt"] = Operand.Random(random, type, 1, batch, length, Inner + ConvChannels + Heads),
            ["conv_weight"] = Floats(0.5, ConvChannels, Taps),
            ["conv_bias"] = Floats(0.5, ConvChannels),
            ["A_log"] = Floats(1, Heads),
            ["D"] = Floats(1, Heads),
            ["dt_bias"] = Floats(1, Heads),
            ["norm_weight"] = Floats(1, Inner),
            ["past_conv_state"] = Operand.Random(random, type, 1, stateRows, ConvChannels, Taps - 1),
            ["past_recurrent_state"] = Floats(1, stateRows, Heads, HeadDim, StateSize),
        }.ToImmutableDictionary();
        NodeArgument[] attributes =
        [
            NodeArgument.Int(Mamba2ChunkScanOp.NumHeads, Heads),
            NodeArgument.Int(Mamba2ChunkScanOp.HeadDim, HeadDim),
            NodeArgument.Int(Mamba2ChunkScanOp.StateSize, StateSize),
            NodeArgument.Int(Mamba2ChunkScanOp.NumGroups, 1),
        ];
        Attributes = attributes.ToImmutableDictionary(attribute => attribute.Proto.Name);

        Operand Floats(double scale, params ImmutableArray<long> shape) =>
            Operand.Random(random, ElementType.Float32, scale, shape);
    }

    /// <summary>The inputs that are given.</summary>
    public ImmutableDictionary<string, Operand> Inputs { get; private init; }

    /// <summary>The attributes that are given.</summary>
    public ImmutableDictionary<string, NodeArgument> Attributes { get; private init; }

    /// <summary>Rows of random values.</summary>
    public static ScanCall Padded(ElementType type, int length, params int[] seqLens) =>
        new ScanCall(type, seqLens.Length, length, seqLens.Length).With("seq_lens", Operand.Ints(seqLens));

    /// <summary>One row of random values, all of its tokens real.</summary>
    public static ScanCall Packed(ElementType type, int length, int stateRows, params int[] cuSeqlens) =>
        new ScanCall(type, 1, length, stateRows)
            .With("seq_lens", Operand.Ints(length))
            .With("cu_seqlens", Operand.Ints(cuSeqlens));

    /// <summary>The same call with another input.</summary>
    public ScanCall With(string input, Operand value) => this with { Inputs = Inputs.SetItem(input, value) };

    /// <summary>The same call with an input changed.</summary>
    public ScanCall With(string input, Func<Operand, Operand> change) => With(input, change(Inputs[input]));

    /// <summary>The same call with another attribute.</summary>
    public ScanCall With(NodeArgument attribute) =>
        this with
        {
            Attributes = Attributes.SetItem(attribute.Proto.Name, attribute),
        };

    /// <summary>The same call without an input or an attribute.</summary>
    public ScanCall Without(string name) =>
        this with
        {
            Inputs = Inputs.Remove(name),
            Attributes = Attributes.Remove(name),
        };
}
