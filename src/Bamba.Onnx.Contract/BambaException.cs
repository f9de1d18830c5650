namespace Bamba.Onnx.Contract;

/// <summary>The root of every error that Bamba.Onnx itself raises.</summary>
public class BambaException : Exception
{
    /// <summary>Creates the error with a message for the user.</summary>
    public BambaException(string message, Exception? innerException = null)
        : base(message, innerException) { }
}

/// <summary>A file or folder that is missing, damaged, contradictory or of a kind that this version does not know.</summary>
public sealed class BambaFormatException : BambaException
{
    /// <summary>Creates the error; the message starts with the path.</summary>
    /// <param name="path">The file or folder at fault.</param>
    /// <param name="problem">What was expected and what was found.</param>
    /// <param name="innerException">The error behind this one, if any.</param>
    public BambaFormatException(string path, string problem, Exception? innerException = null)
        : base($"{path}: {problem}", innerException)
    {
        Path = path;
    }

    /// <summary>The file or folder at fault.</summary>
    public string Path { get; }
}
