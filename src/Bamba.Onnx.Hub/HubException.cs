using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Hub;

/// <summary>The hub has no such model, refuses it, cannot be reached, or sent something else than it announced.</summary>
public sealed class HubException : BambaException
{
    /// <summary>Creates the error with a message for the user.</summary>
    public HubException(string message, Exception? innerException = null)
        : base(message, innerException) { }
}
