using System.Runtime.InteropServices;

namespace Bamba.Onnx.Cli.Quality;

/// <summary>
/// Scores of many positions in a temporary file: written in order, then read in that order. So two models need not be in memory
/// at once. The file goes away when this is disposed.
/// </summary>
internal sealed class ScoresFile : IDisposable
{
    private readonly FileStream stream;
    private readonly float[] scores;

    /// <param name="folder">Where the file lies.</param>
    /// <param name="positions">Positions that there is to be room for.</param>
    /// <param name="vocabSize">Scores of a position.</param>
    /// <exception cref="IOException">The folder has too little room.</exception>
    public ScoresFile(string folder, int positions, int vocabSize)
    {
        scores = new float[vocabSize];
        stream = new FileStream(
            Path.Combine(folder, $"bamba-scores-{Path.GetRandomFileName()}"),
            new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.ReadWrite,
                Options = FileOptions.DeleteOnClose | FileOptions.SequentialScan,
                // A disk that is too small is told of now and not when the reference has been run.
                PreallocationSize = (long)positions * vocabSize * sizeof(float),
            }
        );
    }

    /// <summary>Positions that were written.</summary>
    public int Count { get; private set; }

    /// <summary>Adds a position's scores, [vocab_size].</summary>
    public void Add(ReadOnlySpan<float> position)
    {
        stream.Write(MemoryMarshal.AsBytes(position));
        Count++;
    }

    /// <summary>Goes back to the first position.</summary>
    public void Rewind() => stream.Position = 0;

    /// <summary>The next position's scores, [vocab_size]; they stay until the next call.</summary>
    public ReadOnlySpan<float> Next()
    {
        stream.ReadExactly(MemoryMarshal.AsBytes(scores.AsSpan()));
        return scores;
    }

    public void Dispose() => stream.Dispose();
}
