namespace Bamba.Onnx.Contract;

/// <summary>What mixes tokens in a decoder layer.</summary>
public enum LayerKind
{
    /// <summary>A Mamba-2 mixer: Hugging Face's <c>mamba</c>, from transformers 5.13 <c>linear_attention</c>.</summary>
    Mamba,

    /// <summary>Grouped-query attention: Hugging Face's <c>attention</c>, from transformers 5.13 <c>full_attention</c>.</summary>
    Attention,
}
