using Bamba.Onnx.Contract;

namespace Bamba.Onnx;

/// <summary>A sequence would grow past the tokens that its session has room for.</summary>
public sealed class ContextLengthException : BambaException
{
    /// <summary>Creates the error.</summary>
    /// <param name="tokens">Tokens that the sequence would have.</param>
    /// <param name="contextLength">Tokens that it may have.</param>
    public ContextLengthException(long tokens, int contextLength)
        : base($"expected at most {contextLength} tokens in a sequence, the session's context length, found {tokens}")
    {
        Tokens = tokens;
        ContextLength = contextLength;
    }

    /// <summary>Tokens that the sequence would have.</summary>
    public long Tokens { get; }

    /// <summary>Tokens that it may have.</summary>
    public int ContextLength { get; }
}
