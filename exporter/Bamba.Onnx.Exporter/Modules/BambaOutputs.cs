using System.Diagnostics.CodeAnalysis;
using TorchSharp;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>What <see cref="BambaModel"/> gives. The tensors belong to the caller's dispose scope.</summary>
public record BambaModelOutputs
{
    /// <summary>Hidden states after the final norm, [batch, tokens, hidden_size]; without meaning at masked tokens.</summary>
    public required Tensor LastHiddenState { get; init; }

    /// <summary>If asked for: the embeddings, the states after each layer but the last, and <see cref="LastHiddenState"/>.</summary>
    public IReadOnlyList<Tensor>? HiddenStates { get; init; }

    /// <summary>
    /// If asked for, of each attention layer: [batch, heads, tokens, longest row]. Keys are the row's real tokens in order,
    /// those of the past first.
    /// </summary>
    public IReadOnlyList<Tensor>? Attentions { get; init; }

    /// <summary>If asked for: the state after this call.</summary>
    public BambaCache? Cache { get; init; }

    private protected virtual IEnumerable<Tensor?> Tensors =>
        [LastHiddenState, .. HiddenStates ?? [], .. Attentions ?? [], .. Cache?.Tensors ?? []];

    internal void MoveOutOf(DisposeScope scope) =>
        scope.MoveToOuter(Tensors.OfType<Tensor>().Distinct<IDisposable>(ReferenceEqualityComparer.Instance));
}

/// <summary>What <see cref="BambaForCausalLM"/> gives. The tensors belong to the caller's dispose scope.</summary>
public sealed record BambaOutputs : BambaModelOutputs
{
    [SetsRequiredMembers]
    internal BambaOutputs(BambaModelOutputs model, Tensor logits)
        : base(model)
    {
        Logits = logits;
    }

    /// <summary>Scores before softmax, [batch, kept columns, vocab_size], of the model's type.</summary>
    public required Tensor Logits { get; init; }

    /// <summary>With labels: cross entropy plus the weighted z-loss, a scalar, float32 at least.</summary>
    public Tensor? Loss { get; init; }

    /// <summary>With labels and a z-loss coefficient: the mean of log Z squared over all real tokens, unweighted, a scalar.</summary>
    public Tensor? ZLoss { get; init; }

    private protected override IEnumerable<Tensor?> Tensors => [.. base.Tensors, Logits, Loss, ZLoss];
}
