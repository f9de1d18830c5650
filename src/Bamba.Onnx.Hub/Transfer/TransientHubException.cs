using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub.Transfer;

/// <summary>A failure that another attempt may not meet.</summary>
internal sealed class TransientHubException : BambaException
{
    public TransientHubException(string message, TimeSpan? retryAfter = null, Exception? innerException = null)
        : base(message, innerException)
    {
        RetryAfter = retryAfter;
    }

    /// <summary>When the hub wants to be asked again.</summary>
    public TimeSpan? RetryAfter { get; }
}
