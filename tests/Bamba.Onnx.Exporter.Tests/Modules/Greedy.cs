using Bamba.Onnx.Exporter.Modules;
using static TorchSharp.torch;

namespace Bamba.Onnx.Exporter.Tests.Modules;

/// <summary>Greedy decoding of a batch with a cache, one token a step.</summary>
internal static class Greedy
{
    /// <returns>Tokens [batch, steps] int64, and the logits that each was taken from [batch, steps, vocab_size].</returns>
    public static (Tensor Tokens, Tensor Logits) Decode(BambaForCausalLM model, Tensor ids, Tensor? mask, int steps)
    {
        var tokens = new List<Tensor>();
        var logits = new List<Tensor>();
        BambaOutputs outputs = model.call(
            new BambaInputs
            {
                InputIds = ids,
                AttentionMask = mask,
                UseCache = true,
            }
        );
        Tensor last = OfLastRealToken(outputs.Logits, mask);
        while (true)
        {
            logits.Add(last);
            tokens.Add(last.argmax(-1, keepdim: true));
            if (tokens.Count == steps)
            {
                return (cat([.. tokens], 1), stack(logits, 1));
            }
            mask = mask is null ? null : cat([mask, ones_like(mask.narrow(1, 0, 1))], 1);
            outputs = model.call(
                new BambaInputs
                {
                    InputIds = tokens[^1],
                    AttentionMask = mask,
                    Cache = outputs.Cache,
                }
            );
            last = outputs.Logits.squeeze(1);
        }
    }

    /// <summary>[batch, tokens, …] to [batch, …].</summary>
    public static Tensor OfLastRealToken(Tensor values, Tensor? mask)
    {
        if (mask is null)
        {
            return values.select(1, values.shape[1] - 1);
        }
        Tensor columns = arange(mask.shape[1]).mul(mask).argmax(1);
        return values[arange(mask.shape[0]), columns];
    }
}
