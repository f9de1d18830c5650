namespace Bamba.Onnx.Hub;

/// <summary>How much of a model is wanted.</summary>
public enum HubContent
{
    /// <summary>All that an export reads, or all of a model that is exported already.</summary>
    Model,

    /// <summary>Configuration, tokenizer and template only.</summary>
    WithoutWeights,
}
