using Bamba.Onnx.Contract;

namespace Bamba.Onnx.Exporter.Quantization;

/// <summary>A row has a value that no code can stand for. Who knows the tensor and the row puts them before the message.</summary>
internal sealed class UnquantizableException : BambaException
{
    /// <summary>Creates the error.</summary>
    /// <param name="column">The column of the value.</param>
    /// <param name="problem">What was expected and what was found.</param>
    public UnquantizableException(int column, string problem)
        : base($"column {column}: {problem}")
    {
        Column = column;
        Problem = problem;
    }

    /// <summary>The column of the value, in its row.</summary>
    public int Column { get; }

    /// <summary>What was expected and what was found, without the column.</summary>
    public string Problem { get; }
}
