namespace Bamba.Onnx.Generation;

/// <summary>Why a text ended.</summary>
public enum FinishReason
{
    /// <summary>The model chose a token that ends a text.</summary>
    EndToken,

    /// <summary>A stop string came up; it is not part of the text.</summary>
    StopString,

    /// <summary>As many tokens were generated as were asked for.</summary>
    MaxNewTokens,

    /// <summary>The session has no room for more tokens.</summary>
    ContextLength,
}
