using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Modules;

/// <summary>The training loss of Hugging Face's <c>BambaForCausalLM</c>: cross entropy and z-loss (PaLM, Chowdhery et al. 2022, section 5).</summary>
/// <param name="Total">Cross entropy plus coefficient times z-loss, a scalar.</param>
/// <param name="ZLoss">The mean of log Z squared, a scalar; null for a coefficient of 0.</param>
internal sealed record CausalLoss(Tensor Total, Tensor? ZLoss)
{
    /// <summary>Computes the loss.</summary>
    /// <param name="logits">[batch, tokens, vocab_size].</param>
    /// <param name="targets">[batch, tokens] int64, −100 for none. Without any, the mean is NaN as in PyTorch.</param>
    /// <param name="real">Which tokens exist, [batch, tokens] bool; null for all. The z-loss is a mean over these.</param>
    /// <param name="zLossCoefficient">Weight of the z-loss.</param>
    /// <param name="itemsInBatch">What the sum is divided by, null for the number of targets.</param>
    public static CausalLoss Of(
        Tensor logits,
        Tensor targets,
        Tensor? real,
        double zLossCoefficient,
        long? itemsInBatch
    )
    {
        Tensor crossEntropy = nn.functional.cross_entropy(
            logits.Widen().flatten(0, 1),
            targets.flatten(),
            ignore_index: -100,
            reduction: itemsInBatch is null ? nn.Reduction.Mean : nn.Reduction.Sum
        );
        if (itemsInBatch is { } items)
        {
            crossEntropy = crossEntropy / items;
        }
        if (zLossCoefficient == 0)
        {
            return new CausalLoss(crossEntropy, null);
        }
        // Hugging Face takes log Z from the logits as they are, and widens it afterwards.
        Tensor logZ = logits.logsumexp(-1).to_type(crossEntropy.dtype);
        Tensor zLoss = (real is null ? logZ : logZ.masked_select(real)).square().mean();
        return new CausalLoss(crossEntropy.Plus(zLoss * zLossCoefficient), zLoss);
    }
}
